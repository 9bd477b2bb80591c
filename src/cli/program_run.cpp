#include "src/cli/program_run.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/cli/command.hpp"
#include "src/cli/snapshot_run.hpp"
#include "tinykvm/debug/gdb_server.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::cli {

namespace {

namespace fs = std::filesystem;

// A line names the setting of a program in Varnish; here an option changes it.
void print_warning(std::string_view line) {
    struct {
        const char *setting, *option;
    } constexpr options[] = {{"(max_threads)", "--threads"},
                             {"(max_open_files)", "--open-files"},
                             {"(address_space)", "--address-space"},
                             {"(max_memory)", "--memory"}};
    std::string text(line);
    for (const auto& [setting, option] : options)
        if (line.find(setting) != std::string_view::npos) text += std::string(": ") + option;
    print_message(text);
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
    "tinykvm: a dynamically linked program needs its loader and its libraries: --allow-system, or on Debian\n"
    "tinykvm:   --allow /lib64 --allow /lib --allow /usr/lib\n";

// What programs, interpreters and their libraries are made of. Of these folders a program gets what everybody may read,
// so that passwords and private keys are not in it.
constexpr const char* system_folders[] = {"/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc"};

void allow_system(std::vector<PathRule>& rules) {
    for (const char* folder : system_folders) {
        if (std::error_code error; !fs::exists(folder, error)) continue;
        PathRule rule;
        rule.virtual_path = folder;
        rule.for_everybody = true;
        rules.push_back(std::move(rule));
    }
}

// What the program asked for and was not allowed to see, although it is there.
class RefusedFiles {
  public:
    void note(std::string_view line) {
        constexpr std::string_view end = "\" is not in allowed_paths";
        const std::size_t begin = line.find(": \""), close = line.find(end);
        if (begin == std::string_view::npos || close == std::string_view::npos) return;
        std::string path(line.substr(begin + 3, close - begin - 3));
        // The loader asks for these always, and does without them.
        if (path.starts_with("/etc/ld.so.")) return;
        std::error_code error;
        if (paths_.size() < most && fs::exists(path, error)) paths_.push_back(std::move(path));
    }
    void advise() const {
        if (paths_.empty()) return;
        std::string text = "it asked for what it may not see:";
        for (const std::string& path : paths_) text += " " + path;
        print_message(text + "; --allow PATH lets it read one, --allow-system all that belongs to the system");
    }

  private:
    static constexpr std::size_t most = 8;
    std::vector<std::string> paths_;
};

// Files of the host below /tmp that the program was told of and cannot see: it has a /tmp of its own. Only names that
// are arguments are known to be meant for the host's.
std::vector<std::string> hidden_by_own_folders(const ProgramRun& run) {
    std::vector<std::string> hidden;
    for (const std::string& argument : run.options.arguments) {
        std::error_code error;
        const auto& rules = run.options.allowed_paths;
        const bool is_below = argument.starts_with("/tmp/") || argument.starts_with("/dev/shm/");
        const bool is_allowed = std::any_of(rules.begin(), rules.end(), [&](const PathRule& rule) {
            return argument == rule.virtual_path || argument.starts_with(rule.virtual_path + "/");
        });
        if (is_below && !is_allowed && fs::exists(argument, error)) hidden.push_back(argument);
    }
    return hidden;
}

void advise_about_own_folders(const std::vector<std::string>& hidden) {
    for (const std::string& path : hidden)
        print_message("/tmp and /dev/shm are the program's own, in memory: --allow " + path +
                      " lets it read the file of the host");
}

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

int run_machine(std::shared_ptr<const Program> program, ProgramRun run) {
    run.options.output = write_all;
    std::optional<debug::GdbServer> gdb;
    try {
        if (const std::string file = run.snapshot; !file.empty())
            return run_from_snapshot(std::move(program), run, file, deadline_after(run.seconds));
        Machine machine(std::move(program), std::move(run.options));
        if (run.gdb_port) {
            const Deadline no_limit = deadline_after(std::nullopt);
            gdb.emplace(*run.gdb_port, debug::GdbServer::WithoutGdb::ends, no_limit);
            print_message("waiting for gdb: target remote 127.0.0.1:" + std::to_string(gdb->port()));
            (void)gdb->accept(no_limit);
            machine.debug(*gdb);
        }
        const int status = machine.run(nullptr, deadline_after(run.seconds)).exit_status;
        if (gdb) gdb->exited(status);
        return status;
    } catch (const GuestFault& fault) {
        if (gdb) gdb->killed(fault.details().signal);
        print_message(run.program + ": " + fault.report());
        return exit_signal + fault.details().signal;
    } catch (const Timeout&) {
        std::fprintf(stderr, "tinykvm: %s: stopped after %g seconds (--time)\n", run.program.c_str(),
                     run.seconds.value_or(0));
        return exit_timed_out;
    } catch (const OutOfMemory& error) {
        print_message(run.program + ": " + error.what() + " (--memory)");
        return exit_signal + SIGKILL;
    }
}

// A script, whose first line names its interpreter, becomes an argument of that, as with execve(2). Returns the path
// of the interpreter; that of the program when it is none.
std::string use_interpreter(ProgramRun& run, const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    if (file.get() != '#' || file.get() != '!' || !std::getline(file, line)) return path;
    constexpr const char* blanks = " \t\r";
    const auto word = [&] {
        line.erase(0, line.find_first_not_of(blanks));
        return line.substr(0, line.find_first_of(blanks));
    };
    std::string interpreter = word();
    line.erase(0, interpreter.size());
    line.erase(line.find_last_not_of(blanks) + 1);
    const std::string argument = word().empty() ? "" : line;
    if (!interpreter.starts_with('/')) return path;
    auto& arguments = run.options.arguments;
    std::error_code error;
    arguments.insert(arguments.begin(), fs::absolute(path, error).lexically_normal().string());
    if (!argument.empty()) arguments.insert(arguments.begin(), argument);
    run.options.program_name = interpreter;
    return interpreter;
}

// The file that the user wants to run is one that the program may read. A link to it stays one: programs look for their
// other files next to the file itself.
void allow_itself(ProgramRun& run, const std::string& path) {
    PathRule rule = allowed_path(path);
    std::error_code error;
    const std::string file = fs::canonical(path, error).string();
    if (!error && file != rule.virtual_path) {
        run.options.allowed_paths.push_back(allowed_path(file));
        rule.real_path = file;
        rule.symlink = true;
    }
    run.options.allowed_paths.push_back(std::move(rule));
}

int load_and_run(ProgramRun run) {
    std::string path = find_program(run.program);
    if (path.empty()) {
        print_message(not_found(run.program));
        return exit_not_found;
    }
    allow_itself(run, path);
    path = use_interpreter(run, path);
    std::shared_ptr<const Program> program;
    try {
        program = Program::open(path, program_size_limit(run.options.max_memory));
        const bool dynamic = !program->interpreter().empty();
        const int status = run_machine(std::move(program), std::move(run));
        // What the loader of glibc and musl exits with when a library is missing.
        if (dynamic && status == 127) std::fputs(how_to_allow_libraries, stderr);
        return status;
    } catch (const NotAllowed& error) {
        print_message(std::string(error.what()) + "; add --allow-system, or --allow " + error.path());
        std::fputs(how_to_allow_libraries, stderr);
        return exit_not_executable;
    } catch (const LoadError& error) {
        print_message(error.what());
        return exit_not_executable;
    }
}

}  // namespace

namespace {

void declare_limits(OptionParser& options, const std::shared_ptr<ProgramRun>& run) {
    options.add_value(
        "--smp", "CPUS", "how many CPUs its threads may use at a time (1)", [run](const std::string& text) {
            run->options.cpus = static_cast<unsigned>(whole_number(text, 1, most_cpus, "--smp wants a number of CPUs"));
        });
    options.add_value("--memory", "MIB", "the memory it may use (256)", [run](const std::string& text) {
        run->options.max_memory = whole_number(text, 1, 1UL << 20, "--memory wants a number of MiB") << 20;
    });
    options.add_value(
        "--address-space", "MIB", "what it may map for access, used or not (3072)", [run](const std::string& text) {
            run->options.max_address_space =
                whole_number(text, 128, 65536, "--address-space wants a number of MiB from 128 to 65536") << 20;
        });
    options.add_value("--threads", "N", "the threads it may have (64)", [run](const std::string& text) {
        run->options.max_threads = whole_number(text, 1, 1024, "--threads wants a number from 1 to 1024");
    });
    options.add_value("--open-files", "N", "the files it may have open (1024)", [run](const std::string& text) {
        run->options.max_open_files = whole_number(text, 3, 65536, "--open-files wants a number from 3 to 65536");
    });
    options.add_value("--time", "SECONDS", "how long it may run (no limit)", [run](const std::string& text) {
        run->seconds = number(text, 0.001, 1e8, "--time wants seconds");
    });
}

}  // namespace

void declare_program_options(OptionParser& options, const std::shared_ptr<ProgramRun>& run) {
    run->options.host_stdin = true;
    run->options.warn = print_warning;
    options.end_at_first_operand();
    options.add_flag("--allow-system", "let it read what everybody may of /usr, /lib, /lib64, /bin, /sbin and /etc",
                     [run] { allow_system(run->options.allowed_paths); });
    options.add_value("--allow", "PATH",
                      "let it read this file, or this folder and everything below it; may be repeated",
                      [run](const std::string& path) { run->options.allowed_paths.push_back(allowed_path(path)); });
    options.add_value("--writable-memory", "PATH",
                      "let it have files of its own, in its memory, in this folder, too; may be repeated",
                      [run](const std::string& path) { run->options.memory_directories.push_back(path); });
    options.add_value("--directory", "PATH", "the folder it starts in (/)", [run](const std::string& path) {
        if (!path.starts_with('/')) throw Usage{"--directory wants an absolute path", path};
        run->options.working_directory = fs::path(path).lexically_normal().string();
    });
    options.add_value("--env", "NAME=VALUE", "set an environment variable; may be repeated",
                      [run](const std::string& setting) {
                          if (setting.find('=') == std::string::npos || setting.front() == '=')
                              throw Usage{"--env wants NAME=VALUE", setting};
                          run->options.environment.push_back(setting);
                      });
    declare_limits(options, run);
}

int run_program(ProgramRun run, const std::vector<std::string>& operands) {
    if (operands.empty()) throw Usage{"which program shall run?"};
    run.program = run.options.program_name = operands.front();
    run.options.arguments.assign(operands.begin() + 1, operands.end());
    RefusedFiles refused;
    run.options.log = [&refused, log = run.options.log](std::string_view line) {
        refused.note(line);
        if (log) log(line);
    };
    const std::vector<std::string> hidden = hidden_by_own_folders(run);
    const int status = load_and_run(std::move(run));
    if (status != 0) {
        refused.advise();
        advise_about_own_folders(hidden);
    }
    return status;
}

const char* const program_run_notes =
    "\n"
    "A program may read its own file. A dynamic one needs its loader and its libraries, too, an interpreter what it\n"
    "is made of: --allow-system. /proc, /sys and /dev are made for it, whatever is allowed.\n"
    "\n"
    "Exit status: the program's; 128 + signal when it crashed (137: out of memory); 124 out of time;\n"
    "125 an error of tinykvm itself; 126 not a program that can be loaded; 127 no such program.\n";

}  // namespace tinykvm::cli
