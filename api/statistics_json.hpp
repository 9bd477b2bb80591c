// What stats() says about programs: a JSON object with one member for each.
//
// Thread safety: pure functions.
#pragma once

#include <span>
#include <string>

#include "api/program_statistics.hpp"

namespace tinykvm::api {

// `indentation`: spaces for each level; negative: all on one line.
std::string statistics_json(std::span<const ProgramReport> programs, int indentation);

}  // namespace tinykvm::api
