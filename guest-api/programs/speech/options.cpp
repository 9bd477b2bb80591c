// SPDX-License-Identifier: BSD-2-Clause
#include "options.hpp"

#include <array>

#include "../options.hpp"

namespace speech {

Options parse_options(std::string_view argument, Options options) {
    using gallery::integer;
    gallery::take(
        "", gallery::parse_argument(argument),
        {
            {"voice", [&](const auto& key, const auto& value) { options.voice = gallery::text(key, value); }},
            {"speed", [&](const auto& key, const auto& value) { options.speed = integer(key, value, 80, 450); }},
            {"pitch", [&](const auto& key, const auto& value) { options.pitch = integer(key, value, 0, 99); }},
            {"volume", [&](const auto& key, const auto& value) { options.volume = integer(key, value, 0, 200); }},
            {"gap", [&](const auto& key, const auto& value) { options.gap = integer(key, value, 0, 500); }},
            {"format",
             [&](const auto& key, const auto& value) {
                 options.format = static_cast<Format>(gallery::one_of(key, value, std::array{"wav", "opus"}));
             }},
            {"bitrate", [&](const auto& key, const auto& value) { options.bitrate = integer(key, value, 6, 256); }},
            {"max_text",
             [&](const auto& key, const auto& value) { options.max_text = integer(key, value, 1, 1'000'000); }},
        });
    return options;
}

}  // namespace speech
