// SPDX-License-Identifier: BSD-2-Clause
#include "url.hpp"

#include <algorithm>
#include <charconv>

namespace gallery {
namespace {

// A percent sign that two hexadecimal digits do not follow stands for itself.
std::string decoded(std::string_view text, bool plus_is_space) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); i++) {
        unsigned char byte = 0;
        const char* digits = text.data() + i + 1;
        if (text[i] == '%' && text.size() - i > 2 && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
            result += static_cast<char>(byte);
            i += 2;
        } else {
            result += text[i] == '+' && plus_is_space ? ' ' : text[i];
        }
    }
    return result;
}

}  // namespace

std::optional<std::string> query_value(std::string_view url, std::string_view name) {
    std::size_t at = url.find('?');
    while (at != url.npos) {
        url.remove_prefix(at + 1);
        at = url.find('&');
        const std::string_view parameter = url.substr(0, at);
        const std::size_t equals = std::min(parameter.find('='), parameter.size());
        if (decoded(parameter.substr(0, equals), true) == name) {
            return decoded(parameter.substr(std::min(equals + 1, parameter.size())), true);
        }
    }
    return std::nullopt;
}

std::string last_segment(std::string_view url) {
    const std::string_view path = url.substr(0, url.find('?'));
    return decoded(path.substr(path.rfind('/') + 1), false);
}

}  // namespace gallery
