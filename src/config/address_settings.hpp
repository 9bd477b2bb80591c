// The settings about guest addresses.
//
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "src/config/config.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

inline constexpr char address_ranges_allowed[] =
    "a range [\"0xBEGIN\", MiB] or [\"0xBEGIN\", \"0xEND\"], or an object of at most 64 named ranges";

// Says what is wrong; empty when nothing is.
std::string read_address_ranges(const nlohmann::json& value, std::vector<GuestRange>& ranges);

// What is wrong with the settings together, as "key ...: value ...: why"; empty: nothing.
std::string combination_problem(const ProgramConfig& config);

// "0xC000000000-0xC040000000"
std::string to_string(const GuestRange& range);

}  // namespace tinykvm::host
