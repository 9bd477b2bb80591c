// SPDX-License-Identifier: BSD-2-Clause
#include "text.hpp"

#include <cstdint>
#include <string>

#include "../accept.hpp"
#include "../program.hpp"

namespace speech {
namespace {

using gallery::Error;

// Takes the first character from `text`, which is not empty. 0 when it is not UTF-8 (RFC 3629), or U+0000.
std::uint32_t take_character(std::string_view& text) {
    const auto byte = [&text](std::size_t at) -> std::uint32_t {
        return at < text.size() ? static_cast<std::uint8_t>(text[at]) : 0;
    };
    const std::uint32_t first = byte(0);
    const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    std::uint32_t value = size == 1 ? first : first & (0x7fU >> size);
    if (first >= 0xf8 || (first >= 0x80 && first < 0xc0)) return 0;
    for (std::size_t i = 1; i < size; i++) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
        value = value << 6 | (byte(i) & 0x3f);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    text.remove_prefix(size);
    return value;
}

bool is_control(std::uint32_t character) {
    return (character < 0x20 && (character < '\t' || character > '\r')) || (character >= 0x7f && character < 0xa0);
}

}  // namespace

void want_utf8(std::string_view content_type) {
    const std::string charset = gallery::charset_of(content_type).value_or("utf-8");
    if (charset == "utf-8" || charset == "us-ascii") return;
    throw Error(gallery::unknown_format, "The text is in " + charset + ", not in UTF-8.");
}

void check_text(std::string_view text, std::size_t most) {
    if (text.empty()) throw Error(400, "There is no text: POST one, or say it in the URL, as in ?text=hello.");
    for (std::size_t count = 0; !text.empty(); count++) {
        if (count == most) {
            throw Error(gallery::too_large,
                        "The text has more characters than max_text (" + std::to_string(most) + ").");
        }
        if (is_control(take_character(text))) {
            throw Error(gallery::broken_input, "The text is not UTF-8, or it has control characters (character " +
                                                   std::to_string(count + 1) + ").");
        }
    }
}

}  // namespace speech
