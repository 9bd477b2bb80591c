// SPDX-License-Identifier: BSD-2-Clause
// From the bytes of a picture to those of another one.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "options.hpp"
#include "picture.hpp"

namespace image {

// The picture as it is seen: upright, in sRGB unless its profile is to be kept. Throws an Error.
Picture read(std::string_view data, const Options& options);

struct Converted {
    std::string data;
    Format format = Format::jpeg;
};

// Watermarks by their file: read once, in main() when the defaults name them.
class Watermarks {
  public:
    // Throws an Error when there is no such picture.
    const Picture& get(const std::string& file, const Options& options);

  private:
    std::map<std::string, Picture> pictures_;
};

// `accept` is the client's header. Throws an Error.
Converted convert(std::string_view data, std::string_view accept, const Options& options, Watermarks& watermarks);

}  // namespace image
