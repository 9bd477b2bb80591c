// SPDX-License-Identifier: BSD-2-Clause
#include "accept.hpp"

#include <strings.h>

#include <algorithm>

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

bool equal(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Zero in all the ways it can be written: 0, 0., 0.0, 0.000.
bool is_zero_weight(std::string_view parameter) {
    return parameter.size() > 2 && equal(parameter.substr(0, 2), "q=") &&
           parameter.find_first_not_of("0.", 2) == parameter.npos;
}

}  // namespace

bool accepts(std::string_view accept, std::string_view type) {
    while (!accept.empty()) {
        std::string_view range = next(accept, ',');
        if (!equal(next(range, ';'), type)) continue;
        bool wanted = true;
        while (!range.empty()) wanted = !is_zero_weight(next(range, ';')) && wanted;
        return wanted;
    }
    return false;
}

}  // namespace gallery
