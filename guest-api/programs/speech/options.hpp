// SPDX-License-Identifier: BSD-2-Clause
// How a text is to be spoken: the program's argument, which is JSON. The keys are documented in docs/speech.md.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace speech {

enum class Format { wav, opus };

struct Options {
    std::string voice = "en";
    // What is not said is as the voice has it.
    std::optional<int> speed;   // words in a minute
    std::optional<int> pitch;   // 0 to 99
    std::optional<int> volume;  // 0 to 200
    std::optional<int> gap;     // between words, in hundredths of a second at the usual speed
    Format format = Format::wav;
    int bitrate = 32;  // of Opus, in kbit/s
    std::size_t max_text = 5000;
};

// `options` with what the JSON object in `argument` says; an empty one says nothing. Throws an Error that names the
// key.
Options parse_options(std::string_view argument, Options options);

}  // namespace speech
