// The commands of the `tinykvm` program and what its exit statuses mean.
//
// Owner: none, the commands are constant. Thread safety: the main thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/cli/option_parser.hpp"

namespace tinykvm::cli {

struct Command {
    // Gets the operands, after the options have acted. Returns the exit status; may throw Usage or any std::exception.
    using Run = std::function<int(const std::vector<std::string>& operands)>;

    const char* name;
    const char* summary;  // one line
    const char* usage;    // what `tinykvm help NAME` prints before the options
    const char* notes;    // and after them
    // Declares the options; what it returns is called after they have acted.
    Run (*declare)(OptionParser& options);
};

extern const Command run_command;
extern const Command strace_command;
extern const Command request_command;
extern const Command probe_command;
extern const Command bench_command;

// As env(1) and timeout(1) use them.
enum ExitStatus {
    exit_ok = 0,
    exit_timed_out = 124,
    exit_own_error = 125,       // a bad command line, no KVM, ...
    exit_not_executable = 126,  // found, but not a program we can load
    exit_not_found = 127,
    exit_signal = 128,  // plus the signal that ended the program
};

// "tinykvm: TEXT" on standard error, without anything that does not print: it may quote files and guests.
void print_message(std::string_view text);

// Thrown for a command line that makes no sense; `tinykvm` exits with exit_own_error then, whichever command it is.
struct Usage {
    std::string problem;
    std::string detail = {};
};

}  // namespace tinykvm::cli
