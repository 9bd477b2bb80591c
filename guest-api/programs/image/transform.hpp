// SPDX-License-Identifier: BSD-2-Clause
// What is done to the pixels between reading and writing.
#pragma once

#include "options.hpp"
#include "picture.hpp"

namespace image {

// Turned and mirrored as its orientation says, which is 1 then.
Picture upright(Picture picture);

// Cut and scaled to that size, with libwebp's scaler: it takes the mean of the area that a pixel covers, weighted by
// alpha.
Picture resized(Picture picture, const Size& size, const Options& options);

// Without alpha, on that colour.
void flatten(Picture& picture, std::uint32_t background);

// Puts `mark` on the picture.
void stamp(Picture& picture, const Picture& mark, const Watermark& watermark, const Options& options);

}  // namespace image
