// `tinykvm run --snapshot`: a program that begins where it first waited for its standard input, saved in a file.
//
// Thread safety: the main thread.
#pragma once

#include <memory>
#include <string>

#include "src/cli/program_run.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::cli {

// Runs the program from the file or, if that is of no use, from its beginning, and saves it then. Returns its exit
// status; throws what ends a run.
int run_from_snapshot(std::shared_ptr<const Program> program, ProgramRun run, const std::string& file,
                      Deadline deadline);

}  // namespace tinykvm::cli
