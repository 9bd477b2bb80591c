// SPDX-License-Identifier: BSD-2-Clause
#include "script.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>

#include "../input.hpp"
#include "../memory.hpp"

namespace script {
namespace {

void print_usage(const char* name, std::FILE* to) {
    std::fprintf(
        to,
        "Usage: %s FILE [ARGUMENT...]\n"
        "       %s -e SCRIPT [ARGUMENT...]\n"
        "Answers requests with the function handle() of a script, which gets the request and returns a text, or\n"
        "status, type, headers and body. Here it answers one, a POST of standard input, and prints the body; the\n"
        "exit status is 1 when the status is 400 or more or the script failed, and 2 when it cannot be loaded.\n",
        name, name);
}

// Loads the script that the program's arguments name.
void load(Engine& engine, const std::vector<std::string>& arguments) {
    const bool given = arguments[0] == "-e";
    if (given && arguments.size() < 2) throw Error("There is no script after -e.");
    const std::string file = given ? "script" : arguments[0];
    std::string text = given ? arguments[1] : std::string();
    if (!given) {
        std::string path = file;
        char* name[] = {nullptr, path.data()};
        const std::optional<std::string> read = read_input(2, name);
        if (!read) throw Error(file + ": The script cannot be read.");
        text = *read;
    }
    // The first line of a script may name an interpreter. It stays a line.
    if (text.starts_with("#!")) text.erase(0, text.find('\n'));
    engine.load(file, text, {arguments.begin() + (given ? 2 : 1), arguments.end()});
}

kvm::Response respond(Engine& engine, const kvm::Request& request) {
    try {
        Answer answer = engine.answer(request);
        kvm::Response response(answer.status, std::move(answer.type), std::move(answer.body));
        for (const auto& [name, value] : answer.headers) response.header(name, value);
        return response;
    } catch (const Error& error) {
        kvm::log(error.what());
        return kvm::Response(500, "text/plain", "The script failed.\n");
    }
}

int run_on_linux(Engine& engine) {
    char* no_file[] = {nullptr, nullptr};
    const std::optional<std::string> body = read_input(1, no_file);
    if (!body) return 2;
    kvm_request raw = {};
    raw.method = "POST";
    raw.method_len = 4;
    raw.url = "/";
    raw.url_len = 1;
    raw.arg = raw.content_type = "";
    raw.content = reinterpret_cast<const std::uint8_t*>(body->data());
    raw.content_len = body->size();
    std::random_device random;
    for (std::uint64_t& word : raw.prng) word = static_cast<std::uint64_t>(random()) << 32 | random();
    try {
        const Answer answer = engine.answer(kvm::Request(raw));
        std::fwrite(answer.body.data(), 1, answer.body.size(), stdout);
        if (std::fflush(stdout) != 0) return 2;
        return answer.status < 400 ? 0 : 1;
    } catch (const Error& error) {
        std::fprintf(stderr, "%s: %s\n", engine.name(), error.what());
        return 1;
    }
}

}  // namespace

std::map<std::string, std::string> headers_of(const kvm::Request& request) {
    std::map<std::string, std::string> headers;
    for (const kvm::Field& field : request.headers()) {
        std::string name(field.name());
        for (char& c : name) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
        }
        const auto [place, is_first] = headers.try_emplace(std::move(name), field.value());
        if (!is_first) place->second.append(", ").append(field.value());
    }
    return headers;
}

void log(std::string_view line) {
    if (IS_LINUX_MAIN()) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    } else {
        kvm::log(line);
    }
}

void refuse_script(const std::string& file) { throw Error(file + ": The script does not define a function handle()."); }

void refuse_key(std::string_view key) {
    throw Error("handle() returned an unknown key \"" + std::string(key) +
                "\": there are status, type, headers and body");
}

void refuse_value(std::string_view key, std::string_view wanted) {
    throw Error("handle() returned a wrong \"" + std::string(key) + "\", which must be " + std::string(wanted));
}

int checked_status(double status) {
    if (!(status >= 200 && status <= 599) || status != std::floor(status)) {
        refuse_value("status", "an integer from 200 to 599");
    }
    return static_cast<int>(status);
}

int run(Engine& engine, int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
        print_usage(engine.name(), arguments.empty() ? stderr : stdout);
        return arguments.empty() ? 2 : 0;
    }
    try {
        if (!IS_LINUX_MAIN()) keep_heap();
        load(engine, arguments);
    } catch (const Error& error) {
        std::fprintf(stderr, "%s: %s\n", engine.name(), error.what());
        return 2;
    }
    if (IS_LINUX_MAIN()) return run_on_linux(engine);
    kvm::on_request([&engine](const kvm::Request& request) { return respond(engine, request); });
    kvm::serve();
}

}  // namespace script
