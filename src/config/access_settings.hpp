// Readers of the settings about what a program may reach: files and hosts.
//
// Each stores a list of strings and objects and returns "", or says what is wrong with it.
//
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "src/config/config.hpp"

namespace tinykvm::host {

std::string read_allowed_paths(const nlohmann::json& value, ProgramConfig& config);
std::string read_writable_memory(const nlohmann::json& value, ProgramConfig& config);
std::string read_allowed_hosts(const nlohmann::json& value, ProgramConfig& config);

}  // namespace tinykvm::host
