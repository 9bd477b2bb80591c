// SPDX-License-Identifier: BSD-2-Clause
// Which texts can be spoken.
#pragma once

#include <cstddef>
#include <string_view>

namespace speech {

// Throws an Error when the type names a charset that is not UTF-8.
void want_utf8(std::string_view content_type);

// Throws an Error when there is no text, when it has more characters than `most`, or when it is not UTF-8 or has
// control characters, which are commands to the synthesizer.
void check_text(std::string_view text, std::size_t most);

}  // namespace speech
