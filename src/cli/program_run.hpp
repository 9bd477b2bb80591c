// An ordinary program that is run in the sandbox with the terminal's input and output: what `tinykvm run` and
// `tinykvm strace` have in common.
//
// Owner: the command that runs. Thread safety: the main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/option_parser.hpp"
#include "tinykvm/options.hpp"

namespace tinykvm::cli {

struct ProgramRun {
    std::string program;  // as the user wrote it
    Options options;
    std::optional<double> seconds;
    std::optional<std::uint16_t> gdb_port;  // where gdb is waited for
    std::string snapshot;                   // a file; empty: none (snapshot_run.hpp)
};

// Declares the options about what the program may see and use.
void declare_program_options(OptionParser& options, const std::shared_ptr<ProgramRun>& run);

// Runs the program, the first of `operands`, with the others as its arguments. Returns the exit status. Throws Usage.
int run_program(ProgramRun run, const std::vector<std::string>& operands);

// What the help of both commands says about paths and exit statuses.
extern const char* const program_run_notes;

}  // namespace tinykvm::cli
