// `tinykvm run`: an ordinary Linux program in the sandbox, with the terminal's input and output.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/cli/command.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::cli {

namespace {

namespace fs = std::filesystem;

struct Request {
    std::string program;  // as the user wrote it
    Options options;
    std::optional<double> seconds;
};

// A line names the setting of a program in Varnish; here an option changes it.
void print_warning(std::string_view line) {
    const auto names = [&](std::string_view setting) { return line.find(setting) != std::string_view::npos; };
    std::fprintf(stderr, "tinykvm: %.*s%s\n", static_cast<int>(line.size()), line.data(),
                 names("(max_threads)")     ? ": --threads"
                 : names("(address_space)") ? ": --address-space"
                                            : "");
}

PathRule allowed_path(const std::string& text) {
    std::error_code error;
    const fs::path path = fs::absolute(text, error).lexically_normal();
    if (error || !fs::exists(path, error)) throw Usage{"--allow: there is no such file or folder", text};
    PathRule rule;
    rule.virtual_path = path.string();
    if (rule.virtual_path.size() > 1 && rule.virtual_path.back() == '/') rule.virtual_path.pop_back();
    rule.prefix = fs::is_directory(path, error);
    return rule;
}

// The path at which the shell would find the program; empty when there is none.
std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return ::access(name.c_str(), F_OK) == 0 ? name : "";
    const char* path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    while (true) {
        const std::size_t colon = rest.find(':');
        const std::string folder(rest.substr(0, colon));
        std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
        std::error_code error;
        if (::access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate, error)) return candidate;
        if (colon == std::string_view::npos) return "";
        rest.remove_prefix(colon + 1);
    }
}

// Says where it was looked for.
std::string not_found(const std::string& name) {
    std::string text = name + ": there is no such program";
    if (name.find('/') == std::string::npos) {
        text += " in PATH";
        if (::access(name.c_str(), F_OK) == 0) text += "; the file of that name here is ./" + name;
    }
    return text;
}

constexpr const char* how_to_allow_libraries =
    "tinykvm: a dynamically linked program needs its loader, its libraries and its own file; on Debian:\n"
    "tinykvm:   tinykvm run --allow /lib64 --allow /lib --allow /usr/lib --allow PROGRAM PROGRAM ...\n";

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno != EINTR) return;  // as for any program whose reader has gone
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
}

Deadline deadline_after(std::optional<double> seconds) {
    constexpr double ten_years = 10 * 365 * 86400.0;
    return Clock::now() +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds.value_or(ten_years)));
}

int run_machine(std::shared_ptr<const Program> program, Request request) {
    request.options.output = write_all;
    try {
        Machine machine(std::move(program), std::move(request.options));
        return machine.run(nullptr, deadline_after(request.seconds)).exit_status;
    } catch (const GuestFault& fault) {
        print_message(request.program + ": " + fault.report());
        return exit_signal + fault.details().signal;
    } catch (const Timeout&) {
        std::fprintf(stderr, "tinykvm: %s: stopped after %g seconds (--time)\n", request.program.c_str(),
                     request.seconds.value_or(0));
        return exit_timed_out;
    } catch (const OutOfMemory& error) {
        print_message(request.program + ": " + error.what() + " (--memory)");
        return exit_signal + SIGKILL;
    }
}

int run(Request request) {
    const std::string path = find_program(request.program);
    if (path.empty()) {
        print_message(not_found(request.program));
        return exit_not_found;
    }
    std::shared_ptr<const Program> program;
    try {
        program = Program::from_file(path, program_size_limit(request.options.max_memory));
        const bool dynamic = !program->interpreter().empty();
        const int status = run_machine(std::move(program), std::move(request));
        // What the loader of glibc and musl exits with when a library is missing.
        if (dynamic && status == 127) std::fputs(how_to_allow_libraries, stderr);
        return status;
    } catch (const NotAllowed& error) {
        print_message(std::string(error.what()) + "; add --allow " + error.path());
        std::fputs(how_to_allow_libraries, stderr);
        return exit_not_executable;
    } catch (const LoadError& error) {
        print_message(error.what());
        return exit_not_executable;
    }
}

void declare_limits(OptionParser& options, const std::shared_ptr<Request>& request) {
    options.add_value("--memory", "MIB", "the memory it may use (256)", [request](const std::string& text) {
        request->options.max_memory = whole_number(text, 1, 1UL << 20, "--memory wants a number of MiB") << 20;
    });
    options.add_value(
        "--address-space", "MIB", "what it may map for access, used or not (3072)", [request](const std::string& text) {
            request->options.max_address_space =
                whole_number(text, 128, 65536, "--address-space wants a number of MiB from 128 to 65536") << 20;
        });
    options.add_value("--threads", "N", "the threads it may have (64)", [request](const std::string& text) {
        request->options.max_threads = whole_number(text, 1, 1024, "--threads wants a number from 1 to 1024");
    });
    options.add_value("--time", "SECONDS", "how long it may run (no limit)", [request](const std::string& text) {
        request->seconds = number(text, 0.001, 1e8, "--time wants seconds");
    });
}

Command::Run declare(OptionParser& options) {
    const auto request = std::make_shared<Request>();
    request->options.host_stdin = true;
    request->options.warn = print_warning;
    options.end_at_first_operand();
    options.add_value(
        "--allow", "PATH", "let it read this file, or this folder and everything below it; may be repeated",
        [request](const std::string& path) { request->options.allowed_paths.push_back(allowed_path(path)); });
    options.add_value("--env", "NAME=VALUE", "set an environment variable; may be repeated",
                      [request](const std::string& setting) {
                          if (setting.find('=') == std::string::npos || setting.front() == '=')
                              throw Usage{"--env wants NAME=VALUE", setting};
                          request->options.environment.push_back(setting);
                      });
    declare_limits(options, request);
    options.add_flag("--verbose", "print refused paths and unknown system calls; twice: every system call", [request] {
        request->options.log_system_calls = request->options.log != nullptr;
        request->options.log = print_message;
    });
    return [request](const std::vector<std::string>& operands) {
        if (operands.empty()) throw Usage{"which program shall run?"};
        request->program = request->options.program_name = operands.front();
        request->options.arguments.assign(operands.begin() + 1, operands.end());
        return run(std::move(*request));
    };
}

}  // namespace

const Command run_command = {
    "run", "Run a Linux program in the sandbox",
    "Usage: tinykvm run [OPTIONS] PROGRAM [ARGUMENTS...]\n"
    "\n"
    "Runs an ordinary Linux program (static, static-PIE or dynamic; a path, or a name that is in PATH) in a\n"
    "virtual machine of its own. Its input and output are the terminal's, its working directory is /, its\n"
    "environment is what --env says. It sees no files but those it is allowed, and those for reading only.\n"
    "\n",
    "\n"
    "A dynamic program needs its loader, its libraries and its own file, on Debian:\n"
    "  --allow /lib64 --allow /lib --allow /usr/lib --allow PROGRAM\n"
    "\n"
    "Exit status: the program's; 128 + signal when it crashed (137: out of memory); 124 out of time;\n"
    "125 an error of tinykvm itself; 126 not a program that can be loaded; 127 no such program.\n",
    declare};

}  // namespace tinykvm::cli
