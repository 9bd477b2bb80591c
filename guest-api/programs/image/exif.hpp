// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

namespace image {

// The orientation, 1 to 8, that EXIF data say, with or without "Exif" and two zeros before them. 1 when they say
// nothing, or nothing that makes sense.
int exif_orientation(std::string_view data);

}  // namespace image
