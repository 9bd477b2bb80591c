// SPDX-License-Identifier: BSD-2-Clause
#include "program.hpp"

#include <utility>

namespace documents {
namespace {

// Of the document, when it is not what it looks like.
void want_plain(const kvm::Request& request) {
    const std::string_view encoding = request.header("Content-Encoding").value_or("");
    if (encoding.empty() || encoding == "identity") return;
    throw gallery::Error(gallery::unknown_format,
                         "The document has Content-Encoding: " + std::string(encoding) +
                             ". Put decompress of compression.json before this program with chain().");
}

}  // namespace

gallery::Error error_in_line(int status, std::size_t line, const std::string& what) {
    return {status, "Line " + std::to_string(line) + ": " + what, {{"X-ErrorLine", std::to_string(line)}}};
}

Options Program::parse(std::string_view argument) {
    Options options = parse_options(argument, defaults_, has_namespaces());
    check(options);
    return options;
}

void Program::configure(std::string_view argument) { defaults_ = parse(argument); }

// The libraries make their tables, and find out what this CPU can do, when they are used for the first time.
void Program::warm_up() {
    for (const Action action : {Action::validate, Action::minify, Action::pretty}) {
        Options options;
        options.action = action;
        (void)process(example(), content_type(), options);
        options.pick = part_of_example();
        (void)process(example(), content_type(), options);
    }
}

kvm::Response Program::answer(const kvm::Request& request) {
    const Options options = parse(request.argument());
    gallery::want_body(request, "a document");
    want_plain(request);
    const std::string_view said = request.content_type();
    Result result = process(request.text(), said.empty() ? content_type() : said, options);
    kvm::Response response(200, std::move(result.content_type));
    if (!result.made) return std::move(response.borrow(request.body()));
    return std::move(response.body(std::move(*result.made)));
}

std::string Program::convert(const std::string& input) {
    return process(input, content_type(), defaults_).made.value_or(input);
}

}  // namespace documents
