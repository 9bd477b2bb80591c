// SPDX-License-Identifier: BSD-2-Clause
// Takes the white space out of POSTed JSON, with simdjson. The document is validated first; what is not JSON,
// and any document on which this program fails, is given back as it came: at worst nothing is saved. The header
// "X-Minified: no" tells VCL and clients. On Linux: minify [FILE] writes the same result to standard output;
// status 1 when it was not JSON.
#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "input.hpp"
#include "kvm_api.h"

namespace {

// Its buffers are grown once, before the program is frozen, and then serve every request.
simdjson::dom::parser parser;

struct Result {
    std::unique_ptr<char, decltype(&std::free)> text{nullptr, &std::free};
    std::size_t length = 0;
    const char* error = nullptr;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Is all of `text` a number, as JSON writes them?
bool is_number(std::string_view text) {
    const auto digits = [&text] {
        const auto rest = std::find_if_not(text.begin(), text.end(), is_digit);
        const auto count = static_cast<std::size_t>(rest - text.begin());
        text.remove_prefix(count);
        return count > 0;
    };
    const auto take = [&text](std::string_view any) {
        const bool there = !text.empty() && any.find(text.front()) != any.npos;
        if (there) text.remove_prefix(1);
        return there;
    };
    take("-");
    if (!take("0") && !digits()) return false;
    if (take(".") && !digits()) return false;
    if (take("eE")) {
        take("+-");
        if (!digits()) return false;
    }
    return text.empty();
}

// An escape in a string for half of a character beyond U+FFFF, as "\ud83d". JSON takes it alone (RFC 8259, 8.2), the
// parser does not.
bool is_surrogate(std::string_view escape) {
    const auto is_hexadecimal = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    return escape.size() == 6 && escape.starts_with("\\u") && (escape[2] == 'd' || escape[2] == 'D') &&
           std::string_view("89abcdefABCDEF").find(escape[3]) != std::string_view::npos && is_hexadecimal(escape[4]) &&
           is_hexadecimal(escape[5]);
}

// The document with a zero and spaces in place of each number, and without surrogates: it is JSON when the document is.
std::string with_small_values(std::string_view json) {
    constexpr std::string_view between = " \t\r\n,:[]{}\"";
    std::string text(json);
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == '"') {
            for (++at; at < text.size() && text[at] != '"'; ++at) {
                if (text[at] != '\\') continue;
                if (is_surrogate(json.substr(at, 6))) text[at + 2] = '0';
                ++at;
            }
            ++at;
        } else if (between.find(text[at]) != between.npos) {
            ++at;
        } else {
            const std::size_t end = std::min(json.find_first_of(between, at), json.size());
            if (is_number(json.substr(at, end - at))) {
                text[at] = '0';
                std::fill(text.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                          text.begin() + static_cast<std::ptrdiff_t>(end), ' ');
            }
            at = end;
        }
    }
    return text;
}

// The parser takes no number that is too large for 64 bits, no half of a surrogate pair and no document that is nested
// deeper than its buffers. JSON has none of these limits, so what it refuses is looked at once more, without numbers
// and surrogates and with as deep buffers as there are brackets.
simdjson::error_code validate(std::string_view json) {
    const simdjson::error_code error = parser.parse(json.data(), json.size()).error();
    if (error == simdjson::SUCCESS || error == simdjson::TAPE_ERROR || error == simdjson::UTF8_ERROR) return error;
    const std::string text = with_small_values(json);
    const auto depth = std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; });
    simdjson::dom::parser deep;
    if (const auto failed = deep.allocate(text.size(), static_cast<std::size_t>(depth) + 1)) return failed;
    return deep.parse(text).error();
}

Result minify(const char* json, std::size_t length) {
    Result result;
    if (const auto error = validate({json, length}); error != simdjson::SUCCESS) {
        result.error = simdjson::error_message(error);
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
    if (result.error != nullptr) {
        vlogf("minify: document unchanged: %s", result.error);
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
    if (result.error != nullptr) {
        std::fprintf(stderr, "minify: %s\n", result.error);
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
    // Finds out which instructions this CPU has, once and for all requests.
    const std::string_view example = R"({"a": [1, 2.5, "b", null, true]})";
    if (minify(example.data(), example.size()).error != nullptr) {
        return 1;
    }
    set_backend_request(on_request);
    set_on_error_request(on_error);
    wait_for_requests();
}
