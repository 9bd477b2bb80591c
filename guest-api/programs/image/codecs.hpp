// SPDX-License-Identifier: BSD-2-Clause
// Reading the formats, and writing all but GIF. All throw an Error: 422 when the picture is broken or a part of it is
// missing, 413 when it is too large for the options or for the format.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "animation.hpp"
#include "options.hpp"
#include "picture.hpp"

namespace image {

// The picture as it is stored (not turned), its profile and its orientation. Of an animation the first frame.
Picture decode_jpeg(std::string_view data, const Options& options);
Picture decode_png(std::string_view data, const Options& options);
Picture decode_webp(std::string_view data, const Options& options);
Picture decode_avif(std::string_view data, const Options& options);
Picture decode_gif(std::string_view data, const Options& options);

// Nothing but the pixels and their profile is written. The pixels may be changed where they are transparent.
std::string encode_jpeg(const Picture& picture, const Options& options);
std::string encode_png(const Picture& picture, const Options& options);
std::string encode_webp(Picture& picture, const Options& options);
std::string encode_avif(const Picture& picture, const Options& options);

// As WebP: each frame as `change` gives it back, with the same times and repetitions.
std::string encode_animation(Animation& animation, const Options& options,
                             const std::function<Picture(Picture)>& change);

}  // namespace image
