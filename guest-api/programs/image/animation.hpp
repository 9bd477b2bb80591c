// SPDX-License-Identifier: BSD-2-Clause
// Pictures that move.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "options.hpp"
#include "picture.hpp"

namespace image {

// The frames, one after the other, each as a picture of the whole canvas.
class Animation {
  public:
    struct Info {
        int width = 0, height = 0;
        std::uint64_t frames = 0;
        int loops = 0;                 // how often it is shown; 0 is for ever
        std::uint32_t background = 0;  // a hint
    };

    virtual ~Animation() = default;
    virtual Info info() const = 0;
    virtual bool has_more() const = 0;
    // The next frame; `end` becomes when it ends, in milliseconds from the beginning. Throws an Error.
    virtual Picture next(int& end) = 0;
};

// Null when the picture is a still one. Throw an Error.
std::unique_ptr<Animation> open_gif_animation(std::string_view data, const Options& options);
std::unique_ptr<Animation> open_webp_animation(std::string_view data, const Options& options);

}  // namespace image
