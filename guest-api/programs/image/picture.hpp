// SPDX-License-Identifier: BSD-2-Clause
// What all parts of the program `image` work on: a picture in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../program.hpp"

namespace image {

using gallery::bad_configuration;
using gallery::broken_input;
using gallery::Error;
using gallery::too_large;
using gallery::unknown_format;

// GIF is read and not written.
enum class Format { jpeg, png, webp, avif, gif };

const char* name_of(Format format);
const char* content_type_of(Format format);
// By the first bytes. Throws an Error when they are of no format that is known here.
Format recognize(std::string_view data);

// Pixels of 8 bits a channel in the order blue, green, red, alpha, without gaps between rows. Colour is not multiplied
// by alpha.
class Picture {
  public:
    Picture() = default;
    // The pixels have no values yet. Throws std::bad_alloc.
    Picture(int width, int height)
        : width_(width), height_(height), pixels_(new std::uint32_t[static_cast<std::size_t>(width) * height]) {}

    int width() const { return width_; }
    int height() const { return height_; }
    std::size_t count() const { return static_cast<std::size_t>(width_) * height_; }
    std::uint32_t* pixels() { return pixels_.get(); }
    const std::uint32_t* pixels() const { return pixels_.get(); }
    std::uint8_t* row(int y) {
        return reinterpret_cast<std::uint8_t*>(pixels() + static_cast<std::size_t>(y) * width_);
    }
    const std::uint8_t* row(int y) const {
        return reinterpret_cast<const std::uint8_t*>(pixels() + static_cast<std::size_t>(y) * width_);
    }

    bool is_opaque() const;
    bool is_gray() const;

    // An ICC profile of the colours; empty when they are sRGB.
    std::string profile;
    // As in EXIF: 1 is upright.
    int orientation = 1;

  private:
    int width_ = 0, height_ = 0;
    std::unique_ptr<std::uint32_t[]> pixels_;
};

}  // namespace image
