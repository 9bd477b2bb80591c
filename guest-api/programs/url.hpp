// SPDX-License-Identifier: BSD-2-Clause
// What a URL says (RFC 3986).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gallery {

// The value of the first such parameter of the query, decoded as forms are sent: a plus is a space. Nothing when there
// is none.
std::optional<std::string> query_value(std::string_view url, std::string_view name);

// What the path has after its last slash, decoded.
std::string last_segment(std::string_view url);

}  // namespace gallery
