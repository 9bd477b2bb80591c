// SPDX-License-Identifier: BSD-2-Clause
// Validates POSTed XML, and gives it back as it came, without white space between elements, with a line for each of
// them, or a part of it. What is to be done is JSON: defaults as the program's first argument, and what a request says
// in its own argument. docs/validation.md has the keys. On Linux: xml [JSON [FILE]] writes the result to standard
// output.
#include <string>
#include <string_view>
#include <utility>

#include "../documents/program.hpp"
#include "checker.hpp"
#include "tree.hpp"

namespace {

constexpr char usage[] =
    "Usage: xml [JSON [FILE]] >RESULT\n"
    "Validates XML, from standard input or a file. Keys of the argument:\n"
    "  action        validate (default): gives it back as it came; minify; pretty\n"
    "  pick          an XPath expression, as /a/b[1]: only this part of it\n"
    "  namespaces    an object of the prefixes in pick, and what they stand for\n"
    "  indent        0 to 8 spaces for a level (2)\n"
    "  error_status  400 to 599: of the answer when it is not well-formed (503)\n";

// Of what is made; a document as it came keeps all of it.
std::string as_utf8(std::string_view content_type) {
    return std::string(content_type.substr(0, content_type.find_first_of("; \t"))) + "; charset=utf-8";
}

std::string formatted(xml::Tree& tree, const documents::Options& options) {
    if (options.action == documents::Action::validate) return tree.text(-1);
    tree.strip();
    return tree.text(options.action == documents::Action::pretty ? options.indent : -1);
}

class Xml : public documents::Program {
  public:
    Xml() { xml::begin(); }
    const char* name() const override { return "xml"; }
    const char* usage() const override { return ::usage; }

  protected:
    documents::Result process(std::string_view document, std::string_view content_type,
                              const documents::Options& options) override {
        const std::string encoding = xml::encoding_of(document, content_type);
        xml::check(document, encoding, options.error_status);
        if (options.pick) return picked(document, encoding, content_type, options);
        if (options.action == documents::Action::validate) return {std::nullopt, std::string(content_type)};
        xml::Tree tree(document, encoding, xml::Tree::Entities::kept);
        return {formatted(tree, options), as_utf8(content_type)};
    }

    void check(const documents::Options& options) override {
        if (options.pick) xml::check_expression(*options.pick);
    }

    bool has_namespaces() const override { return true; }
    const char* content_type() const override { return "application/xml"; }
    std::string_view example() const override {
        return "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<!DOCTYPE a [<!ENTITY e \"x\">]>\n"
               "<a b='1'>\n <c>&e;\xe4</c><c xmlns='urn:c'/>\n</a>";
    }
    std::string_view part_of_example() const override { return "/a/*[last()]"; }

  private:
    // Without the document around it, there is nothing that says what an entity is.
    static documents::Result picked(std::string_view document, const std::string& encoding,
                                    std::string_view content_type, const documents::Options& options) {
        const xml::Tree tree(document, encoding, xml::Tree::Entities::replaced);
        auto [part, text] = tree.find(*options.pick, options.namespaces);
        if (!part) return {std::move(text), "text/plain; charset=utf-8"};
        return {formatted(*part, options), as_utf8(content_type)};
    }
};

}  // namespace

int main(int argc, char** argv) {
    Xml program;
    return gallery::run(program, argc, argv);
}
