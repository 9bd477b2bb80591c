// SPDX-License-Identifier: BSD-2-Clause
// What the C++ programs of the gallery read when they run on Linux.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

// The file that is the first argument, or standard input without one. Nothing, after a message, when it cannot be
// opened.
inline std::optional<std::string> read_input(int argc, char** argv) {
    std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : stdin;
    if (file == nullptr) {
        std::perror(argv[1]);
        return std::nullopt;
    }
    std::string text;
    char buffer[65536];
    for (std::size_t got; (got = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) {
        text.append(buffer, got);
    }
    return text;
}
