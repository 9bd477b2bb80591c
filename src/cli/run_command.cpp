// `tinykvm run`: an ordinary Linux program in the sandbox, with the terminal's input and output.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/cli/command.hpp"
#include "src/cli/program_run.hpp"

namespace tinykvm::cli {

namespace {

Command::Run declare(OptionParser& options) {
    const auto request = std::make_shared<ProgramRun>();
    declare_program_options(options, request);
    options.add_value("--gdb", "PORT", "wait at this port of 127.0.0.1 for gdb, and run under it; 0: any port",
                      [request](const std::string& text) {
                          request->gdb_port = static_cast<std::uint16_t>(
                              whole_number(text, 0, 65535, "--gdb wants the number of a port"));
                      });
    options.add_value("--snapshot", "FILE",
                      "begin where it first waits for its input, which is saved in this file the first time",
                      [request](const std::string& file) { request->snapshot = file; });
    options.add_flag("--verbose", "print refused paths and unknown system calls; twice: every system call", [request] {
        request->options.log_system_calls = request->options.log != nullptr;
        request->options.log = print_message;
    });
    return [request](const std::vector<std::string>& operands) {
        if (!request->snapshot.empty() && request->gdb_port) throw Usage{"--snapshot and --gdb exclude each other"};
        return run_program(std::move(*request), operands);
    };
}

}  // namespace

const Command run_command = {
    "run", "Run a Linux program in the sandbox",
    "Usage: tinykvm run [OPTIONS] PROGRAM [ARGUMENTS...]\n"
    "\n"
    "Runs an ordinary Linux program (static, static-PIE or dynamic; a path, or a name that is in PATH) in a\n"
    "virtual machine of its own. Its input and output are the terminal's, its environment is what\n"
    "--env says. It sees no files but its own and those it is allowed, and those for reading "
    "only.\n"
    "\n",
    program_run_notes, declare};

}  // namespace tinykvm::cli
