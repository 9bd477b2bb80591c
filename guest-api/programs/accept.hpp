// SPDX-License-Identifier: BSD-2-Clause
// What clients say that they take (RFC 9110, section 12.5), headers that are lists, and content types.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gallery {

// Are two names the same? Those of types, encodings and headers are, in any case.
bool same_name(std::string_view a, std::string_view b);

// The elements of a list, without white space around them; empty ones are left out.
std::vector<std::string_view> elements(std::string_view list);

// The weight that a header such as Accept gives to what has that name, from 0 (it is not wanted) to 1. Nothing when it
// does not name it: what stands for several, as "*", is a name of its own.
std::optional<double> weight(std::string_view accept, std::string_view name);

// Does a header such as Accept name that type, and not with q=0? Types with a wildcard do not count: they are also sent
// by clients that do not know the format.
bool accepts(std::string_view accept, std::string_view type);

// The charset of a content type, in small letters and without quotes. Nothing when it says none.
std::optional<std::string> charset_of(std::string_view content_type);

}  // namespace gallery
