// SPDX-License-Identifier: BSD-2-Clause
// What the program minify does to a document, natively and in a loop:  minify_natively FILE TIMES  prints the median
// and the least microseconds.
#include <simdjson.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "guest-api/programs/input.hpp"
#include "guest-api/programs/json/grammar.hpp"

int main(int argc, char** argv) {
    const int times = argc > 2 ? std::atoi(argv[2]) : 0;
    const std::optional<std::string> document = argc > 1 ? read_input(argc, argv) : std::nullopt;
    if (!document || times < 1) {
        std::fputs("minify_natively FILE TIMES\n", stderr);
        return 2;
    }
    json::Validator validator;
    std::vector<double> microseconds;
    for (int i = 0; i < times; i++) {
        const auto begin = std::chrono::steady_clock::now();
        const std::unique_ptr<char, decltype(&std::free)> text(static_cast<char*>(std::malloc(document->size())),
                                                               &std::free);
        std::size_t length = 0;
        if (validator.find_fault(*document) ||
            simdjson::minify(document->data(), document->size(), text.get(), length) != simdjson::SUCCESS) {
            return 1;
        }
        microseconds.push_back(
            std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    }
    std::sort(microseconds.begin(), microseconds.end());
    std::printf("%.1f %.1f\n", microseconds[microseconds.size() / 2], microseconds.front());
}
