// SPDX-License-Identifier: BSD-2-Clause
#include "options.hpp"

#include <array>

#include "../options.hpp"

namespace ocr {
namespace {

using gallery::integer;
using gallery::json;

// They become the names of files.
std::string languages(const std::string& key, const json& value) {
    std::string names = gallery::text(key, value);
    if (names.empty() || names.front() == '/' || names.find('.') != names.npos) {
        gallery::refuse(key, "must be names of languages such as \"eng\" or \"deu+eng\"");
    }
    return names;
}

// Those that turn the page need another network.
int psm(const std::string& key, const json& value) {
    const auto mode = static_cast<int>(integer(key, value, 3, 13));
    if (mode == 12) gallery::refuse(key, "must not be 12, which turns the page");
    return mode;
}

int resolution(const std::string& key, const json& value) {
    const auto dots = static_cast<int>(integer(key, value, 0, 2400));
    if (dots != 0 && dots < 70) gallery::refuse(key, "must be 0 or an integer from 70 to 2400");
    return dots;
}

}  // namespace

const char* content_type_of(Format format) {
    switch (format) {
        case Format::text: return "text/plain; charset=utf-8";
        case Format::hocr: return "text/html; charset=utf-8";
        case Format::tsv: return "text/tab-separated-values; charset=utf-8";
        case Format::json: return "application/json";
    }
    return "";
}

Options parse_options(std::string_view argument, Options options) {
    gallery::take(
        "", gallery::parse_argument(argument),
        {
            {"languages", [&](const auto& key, const auto& value) { options.languages = languages(key, value); }},
            {"psm", [&](const auto& key, const auto& value) { options.psm = psm(key, value); }},
            {"format",
             [&](const auto& key, const auto& value) {
                 static constexpr std::array names{"text", "hocr", "tsv", "json"};
                 options.format = static_cast<Format>(gallery::one_of(key, value, names));
             }},
            {"resolution", [&](const auto& key, const auto& value) { options.resolution = resolution(key, value); }},
            {"max_pixels",
             [&](const auto& key, const auto& value) { options.max_pixels = integer(key, value, 1, 268'435'456); }},
        });
    return options;
}

}  // namespace ocr
