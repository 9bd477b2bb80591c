// `tinykvm strace`: a program in the sandbox, and the system calls it makes.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/cli/command.hpp"
#include "src/cli/program_run.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::cli {

namespace {

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using OutputFile = std::unique_ptr<std::FILE, CloseFile>;

Command::Run declare(OptionParser& options) {
    const auto run = std::make_shared<ProgramRun>();
    const auto output = std::make_shared<OutputFile>();
    declare_program_options(options, run);
    options.add_value("--output", "FILE", "write the lines to this file, and not to standard error",
                      [output](const std::string& path) {
                          output->reset(std::fopen(path.c_str(), "we"));
                          if (!*output) throw Usage{"--output: " + std::string(std::strerror(errno)), path};
                      });
    return [run, output](const std::vector<std::string>& operands) {
        run->options.log_system_calls = true;
        const auto print = [output](std::string_view line) {
            std::fprintf(*output ? output->get() : stderr, "%s\n", printable_lines(line).c_str());
        };
        run->options.log = print;
        const int status = run_program(std::move(*run), operands);
        print(status <= exit_signal ? "+++ exited with " + std::to_string(status) + " +++"
                                    : "+++ killed by signal " + std::to_string(status - exit_signal) + " +++");
        return status;
    };
}

}  // namespace

const Command strace_command = {
    "strace", "Run a Linux program in the sandbox and print its system calls",
    "Usage: tinykvm strace [OPTIONS] PROGRAM [ARGUMENTS...]\n"
    "\n"
    "Runs a program as `tinykvm run` does, and prints a line for each system call as strace does: arguments\n"
    "with texts, names of flags and structures, and the result. Lines of a program of several threads begin\n"
    "with the number of the thread. A call that waits is printed when it begins and when it has ended. Paths\n"
    "that were refused have a line of their own.\n"
    "\n",
    program_run_notes, declare};

}  // namespace tinykvm::cli
