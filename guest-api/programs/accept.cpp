// SPDX-License-Identifier: BSD-2-Clause
#include "accept.hpp"

#include <strings.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace gallery {
namespace {

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    return begin == text.npos ? std::string_view() : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// Takes what there is before the next separator from `text`.
std::string_view next(std::string_view& text, char separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

// Of the parameters after a name; 1 unless they say another one.
double weight_in(std::string_view parameters) {
    double weight = 1;
    while (!parameters.empty()) {
        const std::string_view parameter = next(parameters, ';');
        if (!same_name(parameter.substr(0, 2), "q=")) continue;
        double said = 1;
        std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), said);
        if (said >= 0 && said <= 1) weight = said;
    }
    return weight;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::vector<std::string_view> elements(std::string_view list) {
    std::vector<std::string_view> found;
    while (!list.empty()) {
        if (const std::string_view element = next(list, ','); !element.empty()) found.push_back(element);
    }
    return found;
}

std::optional<double> weight(std::string_view accept, std::string_view name) {
    for (std::string_view element : elements(accept)) {
        if (same_name(next(element, ';'), name)) return weight_in(element);
    }
    return std::nullopt;
}

std::optional<std::string> charset_of(std::string_view content_type) {
    while (!content_type.empty()) {
        const std::string_view parameter = next(content_type, ';');
        if (!same_name(parameter.substr(0, 8), "charset=")) continue;
        std::string charset(parameter.substr(8));
        std::erase_if(charset, [](char c) { return c == '"' || c == ' ' || c == '\t'; });
        std::transform(charset.begin(), charset.end(), charset.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        return charset;
    }
    return std::nullopt;
}

bool accepts(std::string_view accept, std::string_view type) { return weight(accept, type).value_or(0) > 0; }

}  // namespace gallery
