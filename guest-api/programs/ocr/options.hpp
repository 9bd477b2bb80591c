// SPDX-License-Identifier: BSD-2-Clause
// What is to be read, and how: the program's argument, which is JSON. The keys are documented in docs/ocr.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ocr {

enum class Format { text, hocr, tsv, json };

struct Options {
    std::string languages = "eng";  // several with a plus between them
    int psm = 3;                    // tesseract's page segmentation mode
    Format format = Format::text;
    int resolution = 0;  // dots per inch; 0 is an estimate
    std::uint64_t max_pixels = 20'000'000;
};

const char* content_type_of(Format format);

// `options` with what the JSON object in `argument` says; an empty one says nothing. Throws an Error that names the
// key.
Options parse_options(std::string_view argument, Options options);

}  // namespace ocr
