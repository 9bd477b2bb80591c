// printf() into a string, for texts whose layout other programs parse.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

namespace tinykvm::linux_abi {

// NOLINTNEXTLINE(cert-dcl50-cpp): the compiler compares the arguments with the layout.
[[gnu::format(printf, 1, 2)]] inline std::string formatted(const char* layout, ...) {
    char text[512];
    va_list values;
    va_start(values, layout);
    const int size = std::vsnprintf(text, sizeof text, layout, values);
    va_end(values);
    return {text, static_cast<std::size_t>(size < 0 ? 0 : size < 512 ? size : 511)};
}

}  // namespace tinykvm::linux_abi
