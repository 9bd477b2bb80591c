// Readers of settings that are not one plain value: they have several forms, or rules of their own.
//
// Each stores a value of the right kind (setting_kinds.hpp) and returns "", or says what is wrong with it.
//
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "src/config/config.hpp"

namespace tinykvm::host {

std::string read_environment(const nlohmann::json& value, ProgramConfig& config);
std::string read_protocol(const nlohmann::json& value, ProgramConfig& config);
std::string read_listen(const nlohmann::json& value, ProgramConfig& config);
std::string read_content_type(const nlohmann::json& value, ProgramConfig& config);
std::string read_input(const nlohmann::json& value, ProgramConfig& config);
std::string read_output(const nlohmann::json& value, ProgramConfig& config);
std::string read_exit_statuses(const nlohmann::json& value, ProgramConfig& config);
std::string read_on_error(const nlohmann::json& value, ProgramConfig& config);
std::string read_poll(const nlohmann::json& value, ProgramConfig& config);
std::string read_storage(const nlohmann::json& value, ProgramConfig& config);
std::string read_cold_start_file(const nlohmann::json& value, ProgramConfig& config);
std::string read_request_hugepages(const nlohmann::json& value, ProgramConfig& config);
std::string read_split_hugepages(const nlohmann::json& value, ProgramConfig& config);

}  // namespace tinykvm::host
