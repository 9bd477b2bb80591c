// `tinykvm request`: one request to a program, as Varnish would give it, and the response as curl -i prints it.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/failure.hpp"
#include "src/base/http_field.hpp"
#include "src/cli/command.hpp"
#include "src/programs/catalogue.hpp"
#include "src/source/program_source.hpp"
#include "src/vms/request_vm.hpp"

namespace tinykvm::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file = std::size_t{1} << 30;
constexpr unsigned long max_repeat = 10'000'000;

enum RequestStatus { exit_answered = 0, exit_refused = 1, exit_misconfigured = 2, exit_failed = 3 };

struct CommandLine {
    std::string config;  // a library; empty: the program is a file
    bool list = false;
    std::vector<std::string> settings;  // KEY=JSON
    std::string method;
    std::vector<std::string> headers;
    std::optional<std::string> body;  // a file; "-" is standard input
    std::string argument;
    unsigned long repeat = 0;  // 0: once, without a summary
    std::string program;       // a file, or a name of the configuration
    std::string url = "/";
};

void declare_program(OptionParser& options, const std::shared_ptr<CommandLine>& line) {
    options.add_value("--config", "FILE", "a library, as for library(): {\"name\": {settings...}, ...}; may be a URI",
                      [line](const std::string& file) { line->config = file; });
    options.add_value("--snapshot", "FILE",
                      "load it from this file, or save it there: the same as the setting cold_start_file",
                      [line](const std::string& file) {
                          const std::string path = fs::absolute(file).string();
                          line->settings.push_back("cold_start_file=" + nlohmann::json(path).dump());
                      });
    options.add_flag("--list", "print the programs of the library and which of them are not served, and why",
                     [line] { line->list = true; });
    options.add_value("--set", "KEY=JSON", "a setting of the program, for example max_request_time=2; may be repeated",
                      [line](const std::string& setting) {
                          if (setting.find('=') == std::string::npos || setting.front() == '=')
                              throw Usage{"--set wants KEY=JSON", setting};
                          line->settings.push_back(setting);
                      });
}

void declare_request(OptionParser& options, const std::shared_ptr<CommandLine>& line) {
    options.add_value("--method", "METHOD", "GET unless given, with a body POST", [line](const std::string& method) {
        if (!host::is_field_name(method)) throw Usage{"--method wants the name of one", method};
        line->method = method;
    });
    options.add_flag("--head", "the same as --method HEAD: no body is printed", [line] { line->method = "HEAD"; });
    options.add_value("--header", "\"Name: value\"", "may be repeated", [line](const std::string& header) {
        std::string why;
        if (!host::parse_field(header, why)) throw Usage{"--header wants \"Name: value\"", header};
        line->headers.push_back(header);
    });
    options.add_value("--body", "FILE", "the body of the request; - is standard input",
                      [line](const std::string& file) { line->body = file; });
    options.add_value("--arg", "TEXT", "the argument of the program (to_backend's last)",
                      [line](const std::string& text) { line->argument = text; });
    options.add_value(
        "--repeat", "N", "ask N times, print the first response, and what a request costs on standard error",
        [line](const std::string& text) {
            line->repeat = whole_number(text, 1, max_repeat, "--repeat wants a number from 1 to 10000000");
        });
}

void take_operands(CommandLine& line, const std::vector<std::string>& operands) {
    if (line.list) {
        if (line.config.empty()) throw Usage{"--list wants a library: --config FILE"};
        if (!operands.empty()) throw Usage{"--list asks no program", operands[0]};
        return;
    }
    if (operands.empty()) throw Usage{"which program shall answer?"};
    if (operands.size() > 2) throw Usage{"there is one URL at most", operands[2]};
    line.program = operands[0];
    if (operands.size() > 1) line.url = operands[1];
    if (line.method.empty()) line.method = line.body ? "POST" : "GET";
}

// "-" is the standard input.
std::string read_file(const std::string& path) {
    const auto close = [](std::FILE* file) { return file == stdin ? 0 : std::fclose(file); };
    const bool is_standard = path == "-";
    const std::unique_ptr<std::FILE, decltype(close)> file(is_standard ? stdin : std::fopen(path.c_str(), "rb"), close);
    std::string text;
    if (file) {
        char piece[65536];
        while (const std::size_t size = std::fread(piece, 1, sizeof piece, file.get())) {
            text.append(piece, size);
            if (text.size() > max_file) throw host::ConfigError(path + ": has more than 1 GiB");
        }
    }
    if (!file || std::ferror(file.get()) != 0) throw host::ConfigError(path + ": " + std::strerror(errno));
    return text;
}

void print_line(const std::string& program, std::string_view line) {
    print_message(program + ": " + std::string(line));
}

void print_failure(const std::string& program, const host::Failure& failure) {
    print_line(program, std::string(host::to_string(failure.kind())) + ": " + failure.what());
    std::string_view report = failure.report();
    const std::string said = failure.what() + std::string("\n");
    if (report.starts_with(said)) report.remove_prefix(said.size());
    if (!report.empty()) std::fprintf(stderr, "%.*s\n", static_cast<int>(report.size()), report.data());
}

// A library of programs and groups: a file, or a URI as for library().
void configure_from_library(host::Catalogue& catalogue, const std::string& where) {
    const bool is_uri = where.find("://") != std::string::npos;
    try {
        catalogue.library(is_uri ? where : "file://" + fs::absolute(where).string(), host::Catalogue::Mistakes::refuse);
    } catch (const host::Failure& failure) {
        throw host::ConfigError(failure.what());
    }
}

// What the program in the file is called in messages.
std::string name_of_file(const fs::path& path) {
    std::string name = path.filename().string().substr(0, 64);
    std::replace_if(
        name.begin(), name.end(),
        [](char c) {
            return !host::is_field_name({&c, 1});
        },
        '_');
    return name.empty() ? "program" : name;
}

host::ProgramService& configure(host::Catalogue& catalogue, const CommandLine& line) {
    std::string name = line.program;
    if (!line.config.empty()) {
        configure_from_library(catalogue, line.config);
        if (catalogue.find(name) == nullptr) throw host::ConfigError(line.config + ": " + catalogue.why_missing(name));
    } else {
        const fs::path path = fs::absolute(line.program);
        if (!fs::is_regular_file(path)) throw host::ConfigError(line.program + ": there is no such program");
        name = name_of_file(path);
        catalogue.configure(name, nlohmann::json{{"filename", path.string()}}.dump());
    }
    for (const std::string& setting : line.settings) {
        const std::size_t equals = setting.find('=');
        catalogue.configure(
            name, "{" + nlohmann::json(setting.substr(0, equals)).dump() + ":" + setting.substr(equals + 1) + "}");
    }
    host::ProgramService& service = *catalogue.find(name);
    if (!service.refusal().empty()) throw host::ConfigError(name + " cannot be asked");  // why has been printed
    return service;
}

// Why the program cannot be served, as far as that is known before it runs and without asking its server. Empty: it
// can.
std::string why_not_served(const host::ProgramService& service) {
    host::ProgramConfig config = service.config();
    if (!service.refusal().empty() || !config.uri.empty()) return service.refusal();
    config.downloads.clear();
    try {
        (void)host::obtain_program(
            service.name(), config, [](std::string_view) {}, nullptr);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

// The programs of a library, and what is wrong with them.
int list(host::Catalogue& catalogue, const std::string& where) {
    configure_from_library(catalogue, where);
    bool all_served = true;
    const auto print = [&](const std::string& name, const char* what, const std::string& why) {
        std::printf("%s: %s%s%s\n", name.c_str(), what, why.empty() ? "" : ": ", why.c_str());
        all_served &= why.empty();
    };
    catalogue.for_each([&](const host::ProgramService& service) {
        const std::string why = why_not_served(service);
        print(service.name(), why.empty() ? "served" : "not served", why);
    });
    for (const auto& [name, why] : catalogue.refused_groups()) print(name, "a group that cannot be used", why);
    return all_served ? exit_answered : exit_refused;
}

void say_nothing(const std::string&, std::string_view) {}

void print_head(const host::Response& response) {
    std::vector<std::string> lines;
    if (!response.content_type.empty()) lines.push_back("Content-Type: " + response.content_type);
    lines.insert(lines.end(), response.headers.begin(), response.headers.end());
    for (const host::HeaderChange& change : response.response_changes) host::apply_change(lines, change);
    if (response.body_size != host::Response::unknown_size)
        lines.push_back("Content-Length: " + std::to_string(response.body_size));
    std::printf("HTTP/1.1 %d\n", response.status);
    for (const std::string& one : lines) std::printf("%s\n", one.c_str());
    std::putchar('\n');
}

// One request, again and again if need be.
class Client {
  public:
    Client(host::ProgramService& service, const CommandLine& line)
        : service_(service), body_(line.body ? read_file(*line.body) : ""), lines_(line.headers) {
        add_unless_given("Host", "localhost");
        if (line.body) add_unless_given("Content-Length", std::to_string(body_.size()));
        headers_.assign(lines_.begin(), lines_.end());
        request_.method = line.method;
        request_.url = line.url;
        request_.argument = line.argument;
        request_.headers = headers_;
        if (const std::string_view* type = find("Content-Type")) {
            std::string why;
            request_.content_type = host::parse_field(*type, why)->value;
        }
    }

    // Prints what the program logs, why it fails, and if wanted the response. Nullopt when it failed.
    std::optional<int> run(bool print) {
        host::Lease lease = service_.acquire(nullptr);
        lease->begin(request_);
        lease->append_body(std::as_bytes(std::span(body_)));
        const host::Outcome outcome = lease->run(nullptr);
        if (print || !outcome.answered) print_lines(outcome.log);
        for (const host::Failure& failure : outcome.failures) print_failure(service_.name(), failure);
        if (!outcome.answered) return std::nullopt;
        const int status = outcome.response.status;
        if (print) print_head(outcome.response);
        if (request_.method != "HEAD" && status != 204 && status != 304) take_body(*lease, outcome.response, print);
        return status;
    }

  private:
    const std::string_view* find(std::string_view name) const {
        const auto found = std::find_if(headers_.begin(), headers_.end(),
                                        [&](std::string_view header) { return host::is_field(header, name); });
        return found == headers_.end() ? nullptr : &*found;
    }

    // Adds a header that every request to Varnish has.
    void add_unless_given(const std::string& name, const std::string& value) {
        headers_.assign(lines_.begin(), lines_.end());
        if (find(name) == nullptr) lines_.push_back(name + ": " + value);
    }

    void print_lines(const std::vector<std::string>& lines) const {
        for (const std::string& one : lines) print_line(service_.name(), one);
    }

    void take_body(host::RequestVm& vm, const host::Response& response, bool print) const {
        std::size_t offset = 0;
        for (auto piece = vm.body(response, 0); !piece.empty(); piece = vm.body(response, offset)) {
            if (print) std::fwrite(piece.data(), 1, piece.size(), stdout);
            offset += piece.size();
        }
        const auto log = vm.take_log();
        if (print) print_lines(log);
    }

    host::ProgramService& service_;
    const std::string body_;
    std::vector<std::string> lines_;
    std::vector<std::string_view> headers_;
    host::Request request_;
};

double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::uint64_t image_size(const host::ProgramService& service) {
    const auto report = service.report();
    return report && !report->machines.empty() ? report->machines.front().snapshot_memory : 0;
}

// The VMs are gone when this is called, so that their last resets are counted as well.
void print_summary(double boot_time, std::uint64_t image, std::vector<double> times,
                   const host::ProgramReport& report) {
    std::sort(times.begin(), times.end());
    const auto count = static_cast<double>(times.size());
    const auto each = [&](host::Counter counter) {
        return static_cast<double>(host::value_of(report.totals, counter)) / count;
    };
    std::fprintf(stderr,
                 "tinykvm: %zu requests: median %.1f us, min %.1f us; each %.1f exits, %.1f faults, %.1f KVM calls, "
                 "%.1f pages restored\n",
                 times.size(), times[times.size() / 2], times.front(), each(host::Counter::exits),
                 each(host::Counter::guest_faults), each(host::Counter::kvm_calls),
                 each(host::Counter::pages_restored));
    const host::RequestPeaks& peaks = report.peaks;
    std::fprintf(stderr, "tinykvm: at most %.2f MiB of memory (max_request_memory), %.6f s (max_request_time)\n",
                 mebibytes(peaks.memory), static_cast<double>(peaks.microseconds) / 1e6);
    std::fprintf(stderr, "tinykvm: booted in %.1f ms; %.2f MiB that all its VMs share\n", boot_time, mebibytes(image));
}

int answer(host::Catalogue& catalogue, host::ProgramService& service, const CommandLine& line) {
    Client client(service, line);
    const auto boot_begin = Clock::now();
    service.wait_until_booted();
    const double boot_time = milliseconds_since(boot_begin);
    std::vector<double> times;
    int highest = 0;
    for (unsigned long i = 0; i < std::max(line.repeat, 1UL); i++) {
        const auto begin = Clock::now();
        const std::optional<int> status = client.run(i == 0);
        if (!status) return exit_failed;
        times.push_back(milliseconds_since(begin) * 1e3);
        highest = std::max(highest, *status);
    }
    if (line.repeat > 0) {
        const std::uint64_t image = image_size(service);
        catalogue.cold();
        if (const auto report = service.report()) print_summary(boot_time, image, std::move(times), *report);
    }
    return highest < 400 ? exit_answered : exit_refused;
}

int run(const CommandLine& line) {
    host::NoCounters counters;
    host::Catalogue catalogue({counters, line.list ? say_nothing : print_line});
    try {
        if (line.list) return list(catalogue, line.config);
        return answer(catalogue, configure(catalogue, line), line);
    } catch (const host::ConfigError& error) {
        print_message(error.what());
        return exit_misconfigured;
    } catch (const host::Failure& failure) {
        // Why a program did not boot has been printed.
        if (failure.kind() != host::FailureKind::not_ready) print_failure(line.program, failure);
        return exit_failed;
    }
}

Command::Run declare(OptionParser& options) {
    const auto line = std::make_shared<CommandLine>();
    declare_program(options, line);
    declare_request(options, line);
    return [line](const std::vector<std::string>& operands) {
        take_operands(*line, operands);
        return run(*line);
    };
}

}  // namespace

const Command request_command = {
    "request", "Ask a program for a response, without Varnish",
    "Usage: tinykvm request [OPTIONS] PROGRAM [URL]\n"
    "       tinykvm request --config FILE --list\n"
    "\n"
    "Boots a program of guest-api/kvm_api.h, or with --set 'protocol=\"stdio\"' any filter, with \"http\" any\n"
    "HTTP server, and gives it one request, in the way Varnish does. Prints status, headers and body of the\n"
    "response like curl -i; what the program logs and why it fails go to standard error. PROGRAM is a file, or\n"
    "with --config the name of a program there. URL is / unless given.\n"
    "\n",
    "\n"
    "Exit status: 0 answered; 1 answered with a status of 400 or more; 2 a bad configuration, or no such\n"
    "program; 3 the program failed; 125 an error of tinykvm itself, such as a bad command line. With\n"
    "--list: 0 all programs are served; 1 some are not; 2 the library cannot be read.\n",
    declare};

}  // namespace tinykvm::cli
