// SPDX-License-Identifier: BSD-2-Clause
// Validates POSTed JSON, and gives it back as it came, without white space, with a line for each value, or a part of
// it. What is to be done is JSON itself: defaults as the program's first argument, and what a request says in its own
// argument. docs/validation.md has the keys. On Linux: json [JSON [FILE]] writes the result to standard output.
#include <string>
#include <string_view>

#include "../documents/program.hpp"
#include "../options.hpp"
#include "grammar.hpp"
#include "text.hpp"

namespace {

// Beyond this, indenting makes documents of which most is white space.
constexpr std::size_t most_levels = 1000;

constexpr char usage[] =
    "Usage: json [JSON [FILE]] >RESULT\n"
    "Validates JSON, from standard input or a file. Keys of the argument:\n"
    "  action        validate (default): gives it back as it came; minify; pretty\n"
    "  pick          a JSON pointer, as /a/0: only this part of it\n"
    "  indent        0 to 8 spaces for a level (2)\n"
    "  error_status  400 to 599: of the answer when it is not JSON (503)\n";

class Json : public documents::Program {
  public:
    const char* name() const override { return "json"; }
    const char* usage() const override { return ::usage; }

  protected:
    documents::Result process(std::string_view document, std::string_view content_type,
                              const documents::Options& options) override {
        if (const auto fault = validator_.find_fault(document)) {
            throw documents::error_in_line(options.error_status, fault->line, fault->what + ".");
        }
        const std::string_view part = options.pick ? picked(document, *options.pick) : document;
        return {formatted(part, options), std::string(content_type)};
    }

    void check(const documents::Options& options) override {
        if (options.pick && !json::parse_pointer(*options.pick)) {
            gallery::refuse("pick", "must be a JSON pointer, such as \"/a/0\"");
        }
    }

    bool has_namespaces() const override { return false; }
    const char* content_type() const override { return "application/json"; }
    std::string_view example() const override { return R"({"a": [1, 2.5, "b\u00e4", null, true]})"; }
    std::string_view part_of_example() const override { return "/a/2"; }

  private:
    static std::string_view picked(std::string_view document, const std::string& pointer) {
        const auto part = json::find(document, *json::parse_pointer(pointer));
        if (!part)
            throw gallery::Error(
                404, "The document has nothing at " +
                         gallery::json(pointer).dump(-1, ' ', false, gallery::json::error_handler_t::replace) + ".");
        return *part;
    }

    static std::optional<std::string> formatted(std::string_view part, const documents::Options& options) {
        switch (options.action) {
            case documents::Action::minify: return json::minified(part);
            case documents::Action::pretty: {
                auto result = json::indented(part, options.indent, most_levels);
                if (!result)
                    throw gallery::Error(gallery::broken_input,
                                         "The document has more than " + std::to_string(most_levels) + " levels.");
                return result;
            }
            case documents::Action::validate: break;
        }
        return options.pick ? std::optional(std::string(part)) : std::nullopt;
    }

    json::Validator validator_;
};

}  // namespace

int main(int argc, char** argv) {
    Json program;
    return gallery::run(program, argc, argv);
}
