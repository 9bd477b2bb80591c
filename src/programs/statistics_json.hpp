// What stats() says about programs: a JSON object with one member for each.
//
// Thread safety: pure functions.
#pragma once

#include <map>
#include <span>
#include <string>

#include "src/vms/program_statistics.hpp"

namespace tinykvm::host {

// `not_served` has the reasons why other programs cannot answer. `indentation`: spaces for each level; negative: all on
// one line.
std::string statistics_json(std::span<const ProgramReport> programs,
                            const std::map<std::string, std::string>& not_served, int indentation);

}  // namespace tinykvm::host
