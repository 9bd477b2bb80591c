// SPDX-License-Identifier: BSD-2-Clause
#include "transform.hpp"

#include <webp/encode.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace image {
namespace {

struct Box {
    int x = 0, y = 0, width = 0, height = 0;
};

int rounded(double length) { return std::max(1, static_cast<int>(std::lround(std::min(length, 1e6)))); }

int placed(int gap, int where) { return gap * where / 2; }

// Part of the source, and the size it gets.
struct Plan {
    Box part;
    int width = 0, height = 0;
};

// With one length missing, or `fit`: the proportions of the picture, within what is asked for.
Plan plan_to_fit(int width, int height, const Size& size) {
    const double by_width = size.width == 0 ? 1e9 : double{1} * size.width / width;
    const double by_height = size.height == 0 ? 1e9 : double{1} * size.height / height;
    double factor = std::min(by_width, by_height);
    if (!size.enlarge) factor = std::min(factor, 1.0);
    return {{0, 0, width, height}, rounded(width * factor), rounded(height * factor)};
}

// The largest part with the wanted proportions.
Plan plan_to_crop(int width, int height, const Size& size) {
    const double factor = std::max(double{1} * size.width / width, double{1} * size.height / height);
    Box part;
    part.width = std::min(width, rounded(size.width / factor));
    part.height = std::min(height, rounded(size.height / factor));
    part.x = placed(width - part.width, size.gravity.x);
    part.y = placed(height - part.height, size.gravity.y);
    if (factor > 1 && !size.enlarge) return {part, part.width, part.height};
    return {part, size.width, size.height};
}

Plan plan_for(int width, int height, const Size& size) {
    if (size.width == 0 || size.height == 0 || size.resize == Resize::fit) return plan_to_fit(width, height, size);
    if (size.resize == Resize::crop) return plan_to_crop(width, height, size);
    const auto limited = [&size](int asked, int is) { return size.enlarge ? asked : std::min(asked, is); };
    return {{0, 0, width, height}, limited(size.width, width), limited(size.height, height)};
}

Picture scaled(Picture& source, const Plan& plan) {
    WebPPicture raw;
    WebPPictureInit(&raw);
    raw.use_argb = 1;
    raw.width = plan.part.width;
    raw.height = plan.part.height;
    raw.argb = source.pixels() + static_cast<std::size_t>(plan.part.y) * source.width() + plan.part.x;
    raw.argb_stride = source.width();
    const bool same = plan.width == plan.part.width && plan.height == plan.part.height;
    if (!same && WebPPictureRescale(&raw, plan.width, plan.height) == 0) throw std::bad_alloc();
    const std::unique_ptr<WebPPicture, decltype(&WebPPictureFree)> owner(&raw, &WebPPictureFree);
    Picture picture(plan.width, plan.height);
    for (int y = 0; y < plan.height; y++) {
        std::memcpy(picture.row(y), raw.argb + static_cast<std::ptrdiff_t>(y) * raw.argb_stride,
                    static_cast<std::size_t>(plan.width) * 4);
    }
    picture.profile = std::move(source.profile);
    picture.orientation = source.orientation;
    return picture;
}

std::uint8_t divided(unsigned sum) { return static_cast<std::uint8_t>((sum + 127) / 255); }

// `over` on top of `under`, both with alpha.
void blend(std::uint8_t* under, const std::uint8_t* over, unsigned opacity) {
    const unsigned alpha = divided(over[3] * opacity);
    const unsigned rest = divided(under[3] * (255 - alpha));
    const unsigned sum = alpha + rest;
    if (alpha == 0) return;
    for (int i = 0; i < 3; i++)
        under[i] = static_cast<std::uint8_t>((over[i] * alpha + under[i] * rest + sum / 2) / sum);
    under[3] = static_cast<std::uint8_t>(sum);
}

}  // namespace

Picture upright(Picture picture) {
    if (picture.orientation <= 1 || picture.orientation > 8) return picture;
    const int width = picture.width(), height = picture.height();
    const std::ptrdiff_t w = width, last_row = w * (height - 1), last = w * height - 1;
    // Where the first pixel comes from, and how far it is to that of the next column and of the next row.
    struct Walk {
        std::ptrdiff_t first, column, row;
    };
    const Walk walks[] = {{w - 1, -1, w},    {last, -1, -w}, {last_row, 1, -w}, {0, w, 1},
                          {last_row, -w, 1}, {last, -w, -1}, {w - 1, w, -1}};
    const Walk& walk = walks[picture.orientation - 2];
    const bool swapped = picture.orientation >= 5;
    Picture result(swapped ? height : width, swapped ? width : height);
    std::uint32_t* to = result.pixels();
    for (int y = 0; y < result.height(); y++) {
        const std::uint32_t* from = picture.pixels() + walk.first + y * walk.row;
        for (int x = 0; x < result.width(); x++) *to++ = from[x * walk.column];
    }
    result.profile = std::move(picture.profile);
    return result;
}

Picture resized(Picture picture, const Size& size, const Options& options) {
    if (size.width == 0 && size.height == 0) return picture;
    const Plan plan = plan_for(picture.width(), picture.height(), size);
    if (plan.width == picture.width() && plan.height == picture.height()) return picture;
    check_size(static_cast<unsigned>(plan.width), static_cast<unsigned>(plan.height), options);
    return scaled(picture, plan);
}

void flatten(Picture& picture, std::uint32_t background) {
    for (std::size_t i = 0; i < picture.count(); i++) {
        std::uint32_t pixel = background;
        blend(reinterpret_cast<std::uint8_t*>(&pixel), reinterpret_cast<const std::uint8_t*>(picture.pixels() + i),
              255);
        picture.pixels()[i] = pixel;
    }
}

void stamp(Picture& picture, const Picture& mark, const Watermark& watermark, const Options& options) {
    if (watermark.scale == 0 || watermark.opacity == 0) return;
    // Not larger than the picture in any direction.
    Size size{rounded(picture.width() * watermark.scale), picture.height(), Resize::fit, {}, true};
    Picture copy(mark.width(), mark.height());
    std::copy_n(mark.pixels(), mark.count(), copy.pixels());
    const Picture scaled = resized(std::move(copy), size, options);
    const int margin = static_cast<int>(std::lround(picture.width() * watermark.margin));
    const auto place = [margin](int room, int where) {
        const int inside = std::max(0, room - 2 * margin);
        return placed(inside, where) + std::min(margin, room / 2);
    };
    const int left = place(picture.width() - scaled.width(), watermark.position.x);
    const int top = place(picture.height() - scaled.height(), watermark.position.y);
    const auto opacity = static_cast<unsigned>(std::lround(watermark.opacity * 255));
    for (int y = 0; y < scaled.height(); y++) {
        std::uint8_t* under = picture.row(top + y) + std::ptrdiff_t{left} * 4;
        const std::uint8_t* over = scaled.row(y);
        for (int x = 0; x < scaled.width(); x++)
            blend(under + std::ptrdiff_t{x} * 4, over + std::ptrdiff_t{x} * 4, opacity);
    }
}

}  // namespace image
