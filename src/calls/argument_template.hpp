// An argument of a program whose text is in part that of the request (the protocol stdio): "--width={query:w}".
//
//   {url} {path} {query} {arg} {method} {content_type}    of the request, as they are
//   {query:NAME}                                          a parameter of the URL, decoded; nothing without one
//   {header:NAME}                                         a field of the request; nothing without one
//
// What looks like one of them, {word} or {word:NAME}, and is none is a mistake. "{{" before such a word stands for "{"
// itself. Other braces are what they are.
//
// Thread safety: immutable.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/calls/request.hpp"

namespace tinykvm::host {

class ArgumentTemplate {
  public:
    // Throws ConfigError that names a placeholder which does not exist.
    explicit ArgumentTemplate(std::string_view text);

    // Without one it is the same for each request.
    bool has_placeholder() const { return has_placeholder_; }
    std::string expand(const Request& request) const;

  private:
    enum class Kind { text, url, path, query, parameter, argument, method, content_type, header };
    struct Part {
        Kind kind = Kind::text;
        std::string text;  // itself, or the name of a parameter or header
    };

    void add_placeholder(std::string_view name, std::string_view argument);
    static std::string value(const Part& part, const Request& request);

    std::vector<Part> parts_;
    bool has_placeholder_ = false;
};

}  // namespace tinykvm::host
