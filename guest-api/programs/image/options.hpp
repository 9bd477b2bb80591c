// SPDX-License-Identifier: BSD-2-Clause
// What is to be done to a picture: the program's argument, which is JSON. The keys are documented in docs/images.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "picture.hpp"

namespace image {

// A place in a rectangle: 0 is left or top, 1 the middle, 2 right or bottom.
struct Gravity {
    int x = 1, y = 1;
};

enum class Resize { fit, fill, crop };

struct Size {
    int width = 0, height = 0;  // 0: follows from the other one
    Resize resize = Resize::fit;
    Gravity gravity;
    bool enlarge = false;
};

struct Watermark {
    std::string file;
    Gravity position{2, 2};
    double scale = 0.2;  // its width, as a part of the picture's
    double opacity = 1;
    double margin = 0.02;  // to the border, as a part of the picture's width
};

struct Options {
    enum class Choice { same, automatic, named };

    Choice choice = Choice::same;
    Format format = Format::jpeg;  // when it is named
    std::optional<int> quality;    // 0 to 100
    std::optional<int> speed;      // 0 to 10
    bool lossless = false;
    Size size;
    std::map<std::string, Size> thumbnails{
        {"small", {160, 160, {}, {}, {}}}, {"medium", {320, 320, {}, {}, {}}}, {"large", {640, 640, {}, {}, {}}}};
    std::optional<Watermark> watermark;
    std::uint32_t background = 0xffffffff;
    bool keep_profile = false;
    bool keep_animation = true;
    std::uint64_t max_pixels = 50'000'000;
    std::uint64_t max_animation_pixels = 250'000'000;
};

// `options` with what the JSON object in `argument` says; an empty one says nothing. Throws an Error that names the
// key.
Options parse_options(std::string_view argument, Options options);

// Throws an Error when a picture of this size is too large, before any memory is taken for it.
void check_size(std::uint64_t width, std::uint64_t height, const Options& options);

}  // namespace image
