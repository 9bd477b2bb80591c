// SPDX-License-Identifier: BSD-2-Clause
#include "convert.hpp"

#include <strings.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "codecs.hpp"
#include "colour.hpp"
#include "transform.hpp"

namespace image {
namespace {

Picture decode(std::string_view data, Format format, const Options& options) {
    switch (format) {
        case Format::jpeg: return decode_jpeg(data, options);
        case Format::png: return decode_png(data, options);
        case Format::webp: return decode_webp(data, options);
        case Format::avif: break;
    }
    return decode_avif(data, options);
}

std::string encode(Picture& picture, Format format, const Options& options) {
    switch (format) {
        case Format::jpeg: flatten(picture, options.background); return encode_jpeg(picture, options);
        case Format::png: return encode_png(picture, options);
        case Format::webp: return encode_webp(picture, options);
        case Format::avif: break;
    }
    return encode_avif(picture, options);
}

Picture prepared(Picture picture, const Options& options, const Picture* mark) {
    to_srgb(picture, options.keep_profile);
    picture = resized(upright(std::move(picture)), options.size, options);
    if (mark != nullptr) stamp(picture, *mark, *options.watermark, options);
    return picture;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    return begin == text.npos ? std::string_view() : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// Takes what there is before the next separator from `text`.
std::string_view next(std::string_view& text, char separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

bool equal(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Zero in all the ways it can be written: 0, 0., 0.0, 0.000.
bool is_zero_weight(std::string_view parameter) {
    return parameter.size() > 2 && equal(parameter.substr(0, 2), "q=") &&
           parameter.find_first_not_of("0.", 2) == parameter.npos;
}

Format choose(Format source, std::string_view accept, const Options& options, const std::function<bool()>& opaque) {
    if (options.choice == Options::Choice::same) return source;
    if (options.choice == Options::Choice::named) return options.format;
    if (accepts(accept, "image/avif")) return Format::avif;
    if (accepts(accept, "image/webp")) return Format::webp;
    return opaque() ? Format::jpeg : Format::png;
}

}  // namespace

const Picture& Watermarks::get(const std::string& file, const Options& options) {
    if (const auto found = pictures_.find(file); found != pictures_.end()) return found->second;
    std::ifstream stream(file, std::ios::binary);
    const std::string data{std::istreambuf_iterator<char>(stream), {}};
    try {
        if (!stream.good() && !stream.eof()) throw Error(bad_configuration, "it cannot be read");
        Picture picture = upright(decode(data, recognize(data), options));
        to_srgb(picture, false);
        return pictures_.emplace(file, std::move(picture)).first->second;
    } catch (const Error& error) {
        throw Error(bad_configuration, "Configuration: \"watermark.file\" " + file + ": " + error.what());
    }
}

bool accepts(std::string_view accept, std::string_view type) {
    while (!accept.empty()) {
        std::string_view range = next(accept, ',');
        if (!equal(next(range, ';'), type)) continue;
        bool wanted = true;
        while (!range.empty()) wanted = !is_zero_weight(next(range, ';')) && wanted;
        return wanted;
    }
    return false;
}

Converted convert(std::string_view data, std::string_view accept, const Options& options, Watermarks& watermarks) {
    const Format source = recognize(data);
    const Picture* mark = options.watermark ? &watermarks.get(options.watermark->file, options) : nullptr;
    if (source == Format::webp && options.keep_animation && is_animated_webp(data) &&
        choose(source, accept, options, [] { return false; }) == Format::webp) {
        return {
            change_animation(data, options, [&](Picture frame) { return prepared(std::move(frame), options, mark); }),
            Format::webp};
    }
    Picture picture = prepared(decode(data, source, options), options, mark);
    Converted result;
    result.format = choose(source, accept, options, [&picture] { return picture.is_opaque(); });
    result.data = encode(picture, result.format, options);
    return result;
}

}  // namespace image
