// SPDX-License-Identifier: BSD-2-Clause
// What clients say that they take (RFC 9110, section 12.5).
#pragma once

#include <string_view>

namespace gallery {

// Does a header such as Accept name that type, and not with q=0? Types with a wildcard do not count: they are also sent
// by clients that do not know the format.
bool accepts(std::string_view accept, std::string_view type);

}  // namespace gallery
