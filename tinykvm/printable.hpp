// Text of a guest, a file, a server or VCL on its way into a message: nothing in it can end a line, move a cursor or
// pretend to be something else, on whatever terminal or in whatever log the message ends.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tinykvm {

// One line of valid UTF-8. What does not print becomes \n, \t or \xNN for each of its bytes: control characters, bytes
// that are not UTF-8, and characters that separate lines or turn the direction of what follows. Cut at `max` bytes of
// the result, between characters, with "..." to show it.
std::string printable(std::string_view text, std::size_t max = 1024);

// The same for a message of several lines, which stay lines.
std::string printable_lines(std::string_view text);

// Two lower-case hexadecimal digits for each byte, whatever it is.
std::string to_hex(const void* data, std::size_t size);
inline std::string to_hex(std::string_view text) { return to_hex(text.data(), text.size()); }

}  // namespace tinykvm
