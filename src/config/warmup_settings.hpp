// The reader of `warmup`, the requests that a program answers before its VMs are made.
//
// Thread safety: a pure function.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "src/config/config.hpp"

namespace tinykvm::host {

// Stores an object and returns "", or says what is wrong with it.
std::string read_warmup(const nlohmann::json& value, ProgramConfig& config);

}  // namespace tinykvm::host
