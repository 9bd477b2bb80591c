// Text of a guest on its way into a log.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tinykvm::api {

inline constexpr std::size_t max_log_line = 1024;      // bytes of one line; the rest is cut
inline constexpr std::size_t max_log_lines = 64;       // of one request; more are counted, not kept

// One line without control characters: they become \n, \t or \xNN. Cut at `max` bytes of the result, with
// "..." to show it.
std::string printable(std::string_view text, std::size_t max = max_log_line);

// 0x7F0001000
std::string hex(unsigned long long value);

}  // namespace tinykvm::api
