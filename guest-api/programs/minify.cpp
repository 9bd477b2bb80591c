// SPDX-License-Identifier: BSD-2-Clause
// Takes the white space out of POSTed JSON, with simdjson. The document is validated first; what is not JSON,
// and any document on which this program fails, is given back as it came: at worst nothing is saved. The header
// "X-Minified: no" tells VCL and clients. On Linux: minify [FILE] writes the same result to standard output;
// status 1 when it was not JSON.
#include <simdjson.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "input.hpp"
#include "json/grammar.hpp"
#include "kvm_api.h"
#include "memory.hpp"

namespace {

json::Validator validator;

struct Result {
    std::unique_ptr<char, decltype(&std::free)> text{nullptr, &std::free};
    std::size_t length = 0;
    std::string error;  // empty when there is none
};

Result minify(const char* json, std::size_t length) {
    Result result;
    if (const auto fault = validator.find_fault({json, length})) {
        result.error = "line " + std::to_string(fault->line) + ": " + fault->what;
        return result;
    }
    result.text.reset(static_cast<char*>(std::malloc(length)));
    if (!result.text) {
        result.error = simdjson::error_message(simdjson::MEMALLOC);
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the text is freed by the pointer that it is in
    } else if (const auto error = simdjson::minify(json, length, result.text.get(), result.length);
               error != simdjson::SUCCESS) {
        result.error = simdjson::error_message(error);
    }
    return result;
}

std::string_view content_type(const kvm_request* request) {
    if (request->content_type_len == 0) return "application/json";
    return {request->content_type, request->content_type_len};
}

// Of the document; empty when it is what it looks like.
std::string_view content_encoding(const kvm_request* request) {
    std::size_t length = 0;
    const char* value = kvm_request_header_value(request, "Content-Encoding", &length);
    const std::string_view encoding(value != nullptr ? value : "", length);
    return encoding == "identity" ? "" : encoding;
}

// The document as it came, and says so. What was said of its form is still true.
void give_back(const kvm_request* request) {
    const std::string_view type = content_type(request);
    const std::string_view unchanged = "X-Minified: no";
    const std::string encoding = "Content-Encoding: " + std::string(content_encoding(request));
    const ResponseHeader headers[] = {{unchanged.data(), unchanged.size()}, {encoding.data(), encoding.size()}};
    BackendResponseExtra extra = {};
    extra.headers = headers;
    extra.num_headers = content_encoding(request).empty() ? 1 : 2;
    backend_response_extra(200, type.data(), type.size(), request->content, request->content_len, &extra);
}

void on_request(const kvm_request* request) {
    const std::string_view method(request->method, request->method_len);
    if (method == "GET" || method == "HEAD") {
        backend_response_str(405, "text/plain", "POST a JSON document.\n");
    }
    if (!content_encoding(request).empty()) {
        vlogf("minify: document unchanged: it has a Content-Encoding");
        give_back(request);
    }
    const Result result = minify(reinterpret_cast<const char*>(request->content), request->content_len);
    if (!result.error.empty()) {
        vlogf("minify: document unchanged: %s", result.error.c_str());
        give_back(request);
    }
    const std::string_view type = content_type(request);
    backend_response(200, type.data(), type.size(), result.text.get(), result.length);
}

void on_error(const char*, const char*, const char*, const kvm_request* request) { give_back(request); }

int run_on_linux(int argc, char** argv) {
    const std::optional<std::string> text = read_input(argc, argv);
    if (!text) {
        return 2;
    }
    const Result result = minify(text->data(), text->size());
    if (!result.error.empty()) {
        std::fprintf(stderr, "minify: %s\n", result.error.c_str());
        std::fwrite(text->data(), 1, text->size(), stdout);
        return 1;
    }
    std::fwrite(result.text.get(), 1, result.length, stdout);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (IS_LINUX_MAIN()) {
        return run_on_linux(argc, argv);
    }
    keep_heap();
    // Finds out which instructions this CPU has, once and for all requests.
    const std::string_view example = R"({"a": [1, 2.5, "b", null, true]})";
    if (!minify(example.data(), example.size()).error.empty()) {
        return 1;
    }
    set_backend_request(on_request);
    set_on_error_request(on_error);
    wait_for_requests();
}
