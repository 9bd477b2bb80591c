// SPDX-License-Identifier: BSD-2-Clause
#include "options.hpp"

#include <array>
#include <charconv>

#include "../options.hpp"

namespace image {
namespace {

using gallery::integer;
using gallery::json;
using gallery::Keys;
using gallery::number;
using gallery::one_of;
using gallery::refuse;
using gallery::take;
using gallery::text;
using gallery::truth;

Gravity gravity(const std::string& key, const json& value) {
    static constexpr std::array names{"northwest", "north",     "northeast", "west",     "center",
                                      "east",      "southwest", "south",     "southeast"};
    const int index = static_cast<int>(one_of(key, value, names));
    return {index % 3, index / 3};
}

std::uint32_t colour(const std::string& key, const json& value) {
    const std::string name = text(key, value);
    std::uint32_t rgb = 0;
    const auto end = name.data() + name.size();
    if (name.size() != 7 || name[0] != '#' || std::from_chars(name.data() + 1, end, rgb, 16).ptr != end) {
        refuse(key, "must be a colour such as \"#ffffff\"");
    }
    return 0xff000000 | rgb;
}

Keys size_keys(Size& size) {
    constexpr int most = 65535;
    return {
        {"width", [&size](const auto& key, const auto& value) { size.width = integer(key, value, 0, most); }},
        {"height", [&size](const auto& key, const auto& value) { size.height = integer(key, value, 0, most); }},
        {"resize",
         [&size](const auto& key, const auto& value) {
             size.resize = static_cast<Resize>(one_of(key, value, std::array{"fit", "fill", "crop"}));
         }},
        {"gravity", [&size](const auto& key, const auto& value) { size.gravity = gravity(key, value); }},
        {"enlarge", [&size](const auto& key, const auto& value) { size.enlarge = truth(key, value); }},
    };
}

Keys watermark_keys(Watermark& mark) {
    return {
        {"file", [&mark](const auto& key, const auto& value) { mark.file = text(key, value); }},
        {"position", [&mark](const auto& key, const auto& value) { mark.position = gravity(key, value); }},
        {"scale", [&mark](const auto& key, const auto& value) { mark.scale = number(key, value, 0, 1); }},
        {"opacity", [&mark](const auto& key, const auto& value) { mark.opacity = number(key, value, 0, 1); }},
        {"margin", [&mark](const auto& key, const auto& value) { mark.margin = number(key, value, 0, 1); }},
    };
}

void take_format(Options& options, const std::string& key, const json& value) {
    static constexpr std::array names{"jpeg", "png", "webp", "avif", "auto", "same"};
    const std::size_t index = one_of(key, value, names);
    options.choice = index < 4    ? Options::Choice::named
                     : index == 4 ? Options::Choice::automatic
                                  : Options::Choice::same;
    if (index < 4) options.format = static_cast<Format>(index);
}

void take_thumbnails(Options& options, const std::string& key, const json& value) {
    if (!value.is_object()) refuse(key, "must be an object");
    options.thumbnails.clear();
    for (const auto& [name, size] : value.items()) {
        take(key + "." + name, size, size_keys(options.thumbnails[name]));
    }
}

void take_watermark(Options& options, const std::string& key, const json& value) {
    if (value.is_null()) return options.watermark.reset();
    if (!options.watermark) options.watermark.emplace();
    take(key, value, watermark_keys(*options.watermark));
    if (options.watermark->file.empty()) refuse(key + ".file", "is missing");
}

Keys other_keys(Options& options) {
    constexpr std::int64_t most_pixels = 268'435'456;
    return {
        {"format", [&](const auto& key, const auto& value) { take_format(options, key, value); }},
        {"quality", [&](const auto& key, const auto& value) { options.quality = integer(key, value, 0, 100); }},
        {"speed", [&](const auto& key, const auto& value) { options.speed = integer(key, value, 0, 10); }},
        {"lossless", [&](const auto& key, const auto& value) { options.lossless = truth(key, value); }},
        {"thumbnails", [&](const auto& key, const auto& value) { take_thumbnails(options, key, value); }},
        {"watermark", [&](const auto& key, const auto& value) { take_watermark(options, key, value); }},
        {"background", [&](const auto& key, const auto& value) { options.background = colour(key, value); }},
        {"profile",
         [&](const auto& key, const auto& value) {
             options.keep_profile = one_of(key, value, std::array{"srgb", "keep"}) == 1;
         }},
        {"animation",
         [&](const auto& key, const auto& value) {
             options.keep_animation = one_of(key, value, std::array{"first", "keep"}) == 1;
         }},
        {"max_pixels",
         [&](const auto& key, const auto& value) { options.max_pixels = integer(key, value, 1, most_pixels); }},
        {"max_animation_pixels",
         [&](const auto& key, const auto& value) {
             options.max_animation_pixels = integer(key, value, 1, most_pixels * 64);
         }},
    };
}

}  // namespace

Options parse_options(std::string_view argument, Options options) {
    json object = gallery::parse_argument(argument);
    Keys keys = other_keys(options);
    keys.merge(size_keys(options.size));
    // A name stands for what it means when all names are known, and what is said beside it counts more.
    std::optional<std::string> thumbnail;
    if (const auto found = object.find("thumbnail"); found != object.end()) {
        thumbnail = text("thumbnail", *found);
        object.erase(found);
    }
    take("", object, keys);
    if (thumbnail) {
        const auto found = options.thumbnails.find(*thumbnail);
        if (found == options.thumbnails.end()) refuse("thumbnail", "names no thumbnail: " + json(*thumbnail).dump());
        options.size = found->second;
        for (const auto& [key, take_value] : size_keys(options.size)) {
            if (const auto said = object.find(key); said != object.end()) take_value(key, *said);
        }
    }
    return options;
}

void check_size(std::uint64_t width, std::uint64_t height, const Options& options) {
    if (width == 0 || height == 0) throw Error(broken_input, "The picture is empty.");
    if (width > 65535 || height > 65535 || width * height > options.max_pixels) {
        throw Error(too_large, "The picture has " + std::to_string(width) + " x " + std::to_string(height) +
                                   " pixels, more than max_pixels (" + std::to_string(options.max_pixels) +
                                   ") or than 65535 in a direction.");
    }
}

}  // namespace image
