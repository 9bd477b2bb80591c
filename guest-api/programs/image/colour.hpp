// SPDX-License-Identifier: BSD-2-Clause
// Colours, with Little CMS.
#pragma once

#include "picture.hpp"

namespace image {

// To sRGB by the picture's profile, which is gone then. A profile that cannot be used is as good as none. With `keep`,
// profiles of RGB stay, and so do the pixels.
void to_srgb(Picture& picture, bool keep);

// The pixels are cyan, magenta, yellow and black as a JPEG has them: 255 is no ink.
void cmyk_to_srgb(Picture& picture);

}  // namespace image
