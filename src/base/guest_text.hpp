// Text of a guest on its way into a log.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string>

#include "tinykvm/printable.hpp"

namespace tinykvm::host {

using tinykvm::printable;

inline constexpr std::size_t max_log_line = 2048;  // bytes of one line; the rest is cut
// Of one request; more are counted, not kept. With its system calls there are more.
inline constexpr std::size_t max_log_lines = 64, max_log_lines_of_calls = 1024;

// A number in hexadecimal, such as 0x7F0001000.
std::string hex(unsigned long long value);

}  // namespace tinykvm::host
