// SPDX-License-Identifier: BSD-2-Clause
#include "picture.hpp"

#include <algorithm>

namespace image {

const char* name_of(Format format) {
    switch (format) {
        case Format::jpeg: return "JPEG";
        case Format::png: return "PNG";
        case Format::webp: return "WebP";
        case Format::avif: return "AVIF";
        case Format::gif: return "GIF";
    }
    return "";
}

const char* content_type_of(Format format) {
    switch (format) {
        case Format::jpeg: return "image/jpeg";
        case Format::png: return "image/png";
        case Format::webp: return "image/webp";
        case Format::avif: return "image/avif";
        case Format::gif: return "image/gif";
    }
    return "";
}

Format recognize(std::string_view data) {
    using namespace std::string_view_literals;
    if (data.substr(0, 3) == "\xff\xd8\xff") return Format::jpeg;
    if (data.substr(0, 8) == "\x89PNG\r\n\x1a\n") return Format::png;
    if (data.substr(0, 6) == "GIF87a" || data.substr(0, 6) == "GIF89a") return Format::gif;
    if (data.size() >= 12 && data.substr(0, 4) == "RIFF" && data.substr(8, 4) == "WEBP") return Format::webp;
    if (data.size() >= 16 && data.substr(4, 4) == "ftyp") {
        // The brands: one of its own, the version's number, and those that it is compatible with.
        const std::size_t size =
            static_cast<std::uint8_t>(data[2]) * std::size_t{256} + static_cast<std::uint8_t>(data[3]);
        const std::string_view brands =
            data.substr(8, std::min<std::size_t>(size, 256) - std::min<std::size_t>(size, 8));
        if (brands.find("avif") != brands.npos || brands.find("avis") != brands.npos) return Format::avif;
    }
    throw Error(unknown_format, data.empty() ? "There is no picture: the body is empty."
                                             : "The body is not a JPEG, PNG, WebP, AVIF or GIF picture.");
}

bool Picture::is_opaque() const {
    return std::all_of(pixels(), pixels() + count(), [](std::uint32_t pixel) { return pixel >> 24 == 0xff; });
}

bool Picture::is_gray() const {
    return std::all_of(pixels(), pixels() + count(), [](std::uint32_t pixel) {
        return (pixel & 0xff) == (pixel >> 8 & 0xff) && (pixel & 0xff) == (pixel >> 16 & 0xff);
    });
}

}  // namespace image
