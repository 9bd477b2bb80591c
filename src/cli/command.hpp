// The commands of the `tinykvm` program and what its exit statuses mean.
#pragma once

#include <span>
#include <string_view>

namespace tinykvm::cli {

struct Command {
    const char* name;
    const char* summary;  // one line
    const char* usage;    // what `tinykvm help NAME` prints
    // Gets what follows the command's name. Returns the exit status; may throw Usage or any std::exception.
    int (*run)(std::span<char* const> arguments);
};

extern const Command run_command;
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

// Thrown for a command line that makes no sense.
struct Usage {
    const char* problem;
    const char* detail = "";
    int status = exit_own_error;  // what tinykvm exits with
};

}  // namespace tinykvm::cli
