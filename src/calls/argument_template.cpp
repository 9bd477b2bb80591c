#include "src/calls/argument_template.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "src/base/ascii.hpp"
#include "src/base/config_error.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/base/url_text.hpp"

namespace tinykvm::host {

namespace {

constexpr std::string_view word_letters = "abcdefghijklmnopqrstuvwxyz_";

// Does it look like one, whether there is such a placeholder or not? "word", or "word:Some-Name". What filters of jq
// and programs of awk mostly have in braces does not: ".a", "a: .b", "a:1", "print $1".
bool looks_like_placeholder(std::string_view inside) {
    const std::size_t colon = inside.find(':');
    const std::string_view word = inside.substr(0, colon);
    if (word.empty() || word.find_first_not_of(word_letters) != std::string_view::npos) {
        return false;
    }
    if (colon == std::string_view::npos || word == "query" || word == "header") {
        return true;
    }
    const std::string_view name = inside.substr(colon + 1);
    return is_token(name) && to_lower(name[0]) >= 'a' && to_lower(name[0]) <= 'z';
}

std::string_view query_of(std::string_view url) {
    const std::size_t mark = url.find('?');
    return mark == std::string_view::npos ? std::string_view() : url.substr(mark + 1);
}

// The first one of that name, decoded.
std::string parameter(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), one.size() + 1));
        const std::size_t equals = std::min(one.find('='), one.size());
        if (decode_parameter(one.substr(0, equals)) == name) {
            return decode_parameter(one.substr(std::min(one.size(), equals + 1)));
        }
    }
    return {};
}

}  // namespace

ArgumentTemplate::ArgumentTemplate(std::string_view text) {
    parts_.emplace_back();
    for (std::size_t i = 0; i < text.size();) {
        const std::string_view rest = text.substr(i);
        const bool is_escape = rest.starts_with("{{");
        const std::string_view inside = rest.substr(rest.starts_with('{') ? (is_escape ? 2 : 1) : 0);
        const std::size_t end = rest.starts_with('{') ? inside.find('}') : std::string_view::npos;
        const std::string_view name = end == std::string_view::npos ? std::string_view() : inside.substr(0, end);
        if (!looks_like_placeholder(name)) {
            parts_.back().text += text[i++];
        } else if (is_escape) {
            parts_.back().text += '{';
            i += 2;
        } else {
            add_placeholder(name, text);
            i += name.size() + 2;
        }
    }
}

void ArgumentTemplate::add_placeholder(std::string_view name, std::string_view argument) {
    static constexpr std::pair<std::string_view, Kind> words[] = {
        {"url", Kind::url},      {"path", Kind::path},     {"query", Kind::query},
        {"arg", Kind::argument}, {"method", Kind::method}, {"content_type", Kind::content_type},
    };
    const std::size_t colon = name.find(':');
    Part part;
    if (colon != std::string_view::npos) {
        const std::string_view word = name.substr(0, colon);
        part.text = name.substr(colon + 1);
        part.kind = part.text.empty()  ? Kind::text
                    : word == "query"  ? Kind::parameter
                    : word == "header" ? Kind::header
                                       : Kind::text;
    } else {
        const auto* const found =
            std::find_if(std::begin(words), std::end(words), [&](const auto& word) { return word.first == name; });
        part.kind = found == std::end(words) ? Kind::text : found->second;
    }
    if (part.kind == Kind::text) {
        throw ConfigError("key \"main_arguments\": there is no placeholder {" + printable(name, 80) + "} (in \"" +
                          printable(argument, 80) +
                          "\"); there are {url}, {path}, {query}, {query:NAME}, {arg}, "
                          "{method}, {content_type} and {header:NAME}, and \"{{\" stands for \"{\" itself");
    }
    parts_.push_back(std::move(part));
    parts_.emplace_back();
    has_placeholder_ = true;
}

std::string ArgumentTemplate::value(const Part& part, const Request& request) {
    switch (part.kind) {
        case Kind::text: return part.text;
        case Kind::url: return std::string(request.url);
        case Kind::path: return std::string(request.url.substr(0, request.url.find('?')));
        case Kind::query: return std::string(query_of(request.url));
        case Kind::parameter: return parameter(query_of(request.url), part.text);
        case Kind::argument: return std::string(request.argument);
        case Kind::method: return std::string(request.method);
        case Kind::content_type: return std::string(request.content_type);
        case Kind::header: break;
    }
    return std::string(field_value(request.headers, part.text).value_or(""));
}

std::string ArgumentTemplate::expand(const Request& request) const {
    std::string text;
    for (const Part& part : parts_) {
        text += value(part, request);
    }
    return text;
}

}  // namespace tinykvm::host
