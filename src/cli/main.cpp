// The `tinykvm` program: finds the command and runs it.
#include <sys/prctl.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <span>
#include <string>

#include "src/cli/command.hpp"
#include "tinykvm/os/address_sanitizer.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::cli {

namespace {

constexpr const Command* commands[] = {&run_command, &strace_command, &request_command, &probe_command, &bench_command};

void print_overview(std::FILE* to) {
    std::fputs("Usage: tinykvm COMMAND [ARGUMENTS]\n\nCommands:\n", to);
    for (const Command* command : commands) std::fprintf(to, "  %-10s %s\n", command->name, command->summary);
    std::fputs(
        "  help       This text, or `help COMMAND`\n"
        "  --version  The version\n",
        to);
}

const Command& find(const char* name) {
    for (const Command* command : commands)
        if (std::strcmp(command->name, name) == 0) return *command;
    throw Usage{"there is no such command", name};
}

bool is_any_of(const char* text, std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (std::strcmp(text, name) == 0) return true;
    return false;
}

int print_help(const Command& command, const OptionParser& options) {
    std::printf("%s%s%s", command.usage, options.help().c_str(), command.notes);
    return exit_ok;
}

int help(std::span<char* const> arguments) {
    if (arguments.empty()) {
        print_overview(stdout);
        return exit_ok;
    }
    const Command& command = find(arguments[0]);
    OptionParser options(command.name);
    (void)command.declare(options);
    return print_help(command, options);
}

int run(const Command& command, std::span<char* const> arguments) {
    OptionParser options(command.name);
    const Command::Run run = command.declare(options);
    const auto operands = options.parse(arguments);
    return operands ? run(*operands) : print_help(command, options);
}

// Nobody but root may look into the memory of a process that runs guests: not by attaching to it, not by its entries
// in /proc, not in a core file.
void hide_memory() {
#ifndef TINYKVM_ADDRESS_SANITIZER  // LeakSanitizer attaches to its own process
    ::prctl(PR_SET_DUMPABLE, 0);
#endif
}

int dispatch(std::span<char* const> arguments) {
    if (arguments.empty()) {
        print_overview(stderr);
        return exit_own_error;
    }
    const char* name = arguments[0];
    const auto rest = arguments.subspan(1);
    if (is_any_of(name, {"help", "--help", "-h"})) return help(rest);
    if (is_any_of(name, {"--version", "version"})) {
        std::puts("tinykvm " TINYKVM_VERSION);
        return exit_ok;
    }
    return run(find(name), rest);
}

}  // namespace

void print_message(std::string_view text) { std::fprintf(stderr, "tinykvm: %s\n", printable_lines(text).c_str()); }

}  // namespace tinykvm::cli

int main(int argc, char** argv) {
    using namespace tinykvm::cli;
    hide_memory();
    try {
        return dispatch({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)});
    } catch (const Usage& usage) {
        print_message(usage.problem + (usage.detail.empty() ? "" : ": ") + usage.detail + " (see: tinykvm help)");
    } catch (const std::exception& error) {
        print_message(error.what());
    }
    return exit_own_error;
}
