// Settings about where a program comes from, for the table of settings.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "src/config/config.hpp"

namespace tinykvm::host {

// They store a value and return "", or say what is wrong with it.
std::string store_checksum(std::string& checksum, std::size_t digits, const nlohmann::json& value);  // a string
// A list of objects of strings, {uri, filepath} and perhaps {sha256, md5}.
std::string read_downloads(const nlohmann::json& value, ProgramConfig& config);

}  // namespace tinykvm::host
