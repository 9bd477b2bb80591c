// SPDX-License-Identifier: BSD-2-Clause
#include "text.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <stdexcept>

namespace json {
namespace {

constexpr std::string_view white_space = " \t\r\n", ends_of_scalars = " \t\r\n,]}";

std::size_t skip_space(std::string_view text, std::size_t at) {
    return std::min(text.find_first_not_of(white_space, at), text.size());
}

// After the string that begins there.
std::size_t end_of_string(std::string_view text, std::size_t at) {
    for (at++; text[at] != '"'; at++) {
        if (text[at] == '\\') at++;
    }
    return at + 1;
}

// After the string, number or word that begins there.
std::size_t end_of_scalar(std::string_view text, std::size_t at) {
    return text[at] == '"' ? end_of_string(text, at) : std::min(text.find_first_of(ends_of_scalars, at), text.size());
}

// After the value that begins there.
std::size_t end_of_value(std::string_view text, std::size_t at) {
    if (text[at] != '[' && text[at] != '{') return end_of_scalar(text, at);
    for (std::size_t depth = 0;;) {
        at = text.find_first_of("\"[]{}", at);
        if (text[at] == '"') {
            at = end_of_string(text, at);
            continue;
        }
        const bool is_begin = text[at] == '[' || text[at] == '{';
        at++;
        if (is_begin) {
            depth++;
        } else if (--depth == 0) {
            return at;
        }
    }
}

// The code unit of UTF-16 that an escape of six characters stands for.
unsigned unit_at(std::string_view text, std::size_t at) {
    unsigned unit = 0;
    std::from_chars(text.data() + at + 2, text.data() + at + 6, unit, 16);
    return unit;
}

// Halves of surrogate pairs become what UTF-8 would have for them, so that equal keys stay equal.
void append_character(std::string& text, unsigned code) {
    if (code < 0x80) {
        text += static_cast<char>(code);
        return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    text += static_cast<char>(0xFF & (0xFF00U >> (more + 1) | code >> (6 * more)));
    for (int i = more - 1; i >= 0; i--) text += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
}

// What a string with its quotation marks says.
std::string unescaped(std::string_view string) {
    string = string.substr(1, string.size() - 2);
    std::string text;
    for (std::size_t at = 0; at < string.size(); at++) {
        if (string[at] != '\\') {
            text += string[at];
            continue;
        }
        constexpr std::string_view names = "bfnrt", controls = "\b\f\n\r\t";
        if (const auto control = names.find(string[++at]); control != names.npos) {
            text += controls[control];
        } else if (string[at] != 'u') {
            text += string[at];
        } else {
            unsigned code = unit_at(string, at - 1);
            at += 4;
            if (code >= 0xD800 && code < 0xDC00 && string.substr(at + 1).starts_with("\\u")) {
                if (const unsigned low = unit_at(string, at + 1); low >= 0xDC00 && low < 0xE000) {
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    at += 6;
                }
            }
            append_character(text, code);
        }
    }
    return text;
}

// Calls `see(key, value)` for each member or element of the array or object; the key of an element is its index.
template <typename See>
void for_each_in(std::string_view text, See see) {
    const bool is_object = text[0] == '{';
    std::size_t at = skip_space(text, 1), index = 0;
    while (text[at] != ']' && text[at] != '}') {
        std::string key = std::to_string(index++);
        if (is_object) {
            const std::size_t end = end_of_string(text, at);
            key = unescaped(text.substr(at, end - at));
            at = skip_space(text, text.find(':', end) + 1);
        }
        const std::size_t end = end_of_value(text, at);
        see(key, text.substr(at, end - at));
        at = skip_space(text, end);
        if (text[at] == ',') at = skip_space(text, at + 1);
    }
}

void begin_line(std::string& text, std::size_t depth, int indent) {
    text += '\n';
    text.append(depth * static_cast<std::size_t>(indent), ' ');
}

}  // namespace

std::string minified(std::string_view document) {
    std::string result(document.size(), '\0');
    std::size_t size = 0;
    if (simdjson::minify(document.data(), document.size(), result.data(), size) != simdjson::SUCCESS) {
        throw std::logic_error("the document is not JSON");
    }
    result.resize(size);
    return result;
}

std::optional<std::string> indented(std::string_view document, int indent, std::size_t most) {
    std::string result;
    std::size_t depth = 0;
    for (std::size_t at = skip_space(document, 0); at < document.size(); at = skip_space(document, at)) {
        const char c = document[at];
        if (c == '[' || c == '{') {
            result += c;
            at = skip_space(document, at + 1);
            if (document[at] == ']' || document[at] == '}') {
                result += document[at++];
            } else {
                if (++depth > most) return std::nullopt;
                begin_line(result, depth, indent);
            }
        } else if (c == ']' || c == '}') {
            begin_line(result, --depth, indent);
            result += document[at++];
        } else if (c == ',') {
            result += document[at++];
            begin_line(result, depth, indent);
        } else if (c == ':') {
            result += ": ";
            at++;
        } else {
            const std::size_t end = end_of_scalar(document, at);
            result.append(document, at, end - at);
            at = end;
        }
    }
    result += '\n';
    return result;
}

std::optional<Pointer> parse_pointer(std::string_view text) {
    Pointer pointer;
    if (!text.empty() && text[0] != '/') return std::nullopt;
    for (std::size_t at = 0; at < text.size(); at++) {
        if (text[at] == '/') {
            pointer.emplace_back();
        } else if (text[at] != '~') {
            pointer.back() += text[at];
        } else if (++at < text.size() && (text[at] == '0' || text[at] == '1')) {
            pointer.back() += text[at] == '0' ? '~' : '/';
        } else {
            return std::nullopt;
        }
    }
    return pointer;
}

std::optional<std::string_view> find(std::string_view document, const Pointer& pointer) {
    const std::size_t begin = skip_space(document, 0);
    std::string_view value = document.substr(begin, end_of_value(document, begin) - begin);
    for (const std::string& name : pointer) {
        if (value[0] != '[' && value[0] != '{') return std::nullopt;
        std::optional<std::string_view> found;
        for_each_in(value, [&](const std::string& key, std::string_view part) {
            if (key == name) found = part;
        });
        if (!found) return std::nullopt;
        value = *found;
    }
    return value;
}

}  // namespace json
