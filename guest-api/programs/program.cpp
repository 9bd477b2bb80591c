// SPDX-License-Identifier: BSD-2-Clause
#include "program.hpp"

#include <cstdio>
#include <new>

#include "input.hpp"
#include "memory.hpp"

namespace gallery {
namespace {

kvm::Response refusal(const Program& program, const Error& error) {
    kvm::log(std::string(program.name()) + ": " + error.what());
    kvm::Response response(error.status(), "text/plain", std::string(error.what()) + "\n");
    for (const auto& [name, value] : error.headers()) response.header(name, value);
    return response;
}

kvm::Response answer_or_refusal(Program& program, const kvm::Request& request) {
    try {
        return program.answer(request);
    } catch (const Error& error) {
        return refusal(program, error);
    } catch (const std::bad_alloc&) {
        return refusal(program, {out_of_memory, "There is not enough memory (max_request_memory)."});
    }
}

kvm::Response answer(Program& program, const kvm::Request& request) {
    kvm::Response response = answer_or_refusal(program, request);
    if (const char* header = program.varies_by()) response.header("Vary", header);
    return response;
}

int run_on_linux(Program& program, int argc, char** argv) {
    const std::optional<std::string> input = read_input(argc - 1, argv + 1);
    if (!input) return 2;
    try {
        const std::string output = program.convert(*input);
        return std::fwrite(output.data(), 1, output.size(), stdout) == output.size() && std::fflush(stdout) == 0 ? 0
                                                                                                                 : 2;
    } catch (const Error& error) {
        std::fprintf(stderr, "%s: %s\n", program.name(), error.what());
        return 1;
    }
}

}  // namespace

int run(Program& program, int argc, char** argv) {
    const std::string_view argument = argc > 1 ? argv[1] : "";
    if (argument == "--help" || argument == "-h") {
        std::fputs(program.usage(), stdout);
        return 0;
    }
    try {
        program.configure(argument);
        if (IS_LINUX_MAIN()) return run_on_linux(program, argc, argv);
        keep_heap();
        program.warm_up();
    } catch (const Error& error) {
        std::fprintf(stderr, "%s: %s\n", program.name(), error.what());
        return 2;
    }
    kvm::on_request([&program](const kvm::Request& request) { return answer(program, request); });
    kvm::serve();
}

void want_body(const kvm::Request& request, const char* what) {
    if (!request.text().empty() || (request.method() != "GET" && request.method() != "HEAD")) return;
    throw Error(method_not_allowed,
                "POST " + std::string(what) + ", or put a program that gives one before this one with chain().",
                {{"Allow", "POST"}});
}

}  // namespace gallery
