// SPDX-License-Identifier: BSD-2-Clause
#include "convert.hpp"

#include <fstream>
#include <iterator>

#include "../accept.hpp"
#include "codecs.hpp"
#include "colour.hpp"
#include "transform.hpp"

namespace image {
namespace {

using gallery::accepts;

Picture decode(std::string_view data, const Options& options) {
    switch (recognize(data)) {
        case Format::jpeg: return decode_jpeg(data, options);
        case Format::png: return decode_png(data, options);
        case Format::webp: return decode_webp(data, options);
        case Format::avif: return decode_avif(data, options);
        case Format::gif: break;
    }
    return decode_gif(data, options);
}

std::string encode(Picture& picture, Format format, const Options& options) {
    switch (format) {
        case Format::jpeg: flatten(picture, options.background); return encode_jpeg(picture, options);
        case Format::png: return encode_png(picture, options);
        case Format::webp: return encode_webp(picture, options);
        case Format::avif: return encode_avif(picture, options);
        case Format::gif: break;
    }
    throw Error(unknown_format, "GIF is not written.");
}

// As it is seen.
Picture shown(Picture picture, const Options& options) {
    to_srgb(picture, options.keep_profile);
    return upright(std::move(picture));
}

Picture prepared(Picture picture, const Options& options, const Picture* mark) {
    picture = resized(shown(std::move(picture), options), options.size, options);
    if (mark != nullptr) stamp(picture, *mark, *options.watermark, options);
    return picture;
}

// Null when only a still picture is wanted, or there.
std::unique_ptr<Animation> animation_of(std::string_view data, Format source, const Options& options) {
    if (!options.keep_animation) return nullptr;
    if (source == Format::gif) return open_gif_animation(data, options);
    return source == Format::webp ? open_webp_animation(data, options) : nullptr;
}

// Does the result have frames? WebP is the format that is written with them, and a client that takes it and AVIF gets
// it.
bool moves(Format source, std::string_view accept, const Options& options) {
    if (options.choice == Options::Choice::same) return source == Format::webp || source == Format::gif;
    if (options.choice == Options::Choice::named) return options.format == Format::webp;
    return accepts(accept, "image/webp");
}

Format choose(Format source, std::string_view accept, const Options& options, const std::function<bool()>& opaque) {
    if (options.choice == Options::Choice::same) return source == Format::gif ? Format::webp : source;
    if (options.choice == Options::Choice::named) return options.format;
    if (accepts(accept, "image/avif")) return Format::avif;
    if (accepts(accept, "image/webp")) return Format::webp;
    return opaque() ? Format::jpeg : Format::png;
}

}  // namespace

Picture read(std::string_view data, const Options& options) { return shown(decode(data, options), options); }

const Picture& Watermarks::get(const std::string& file, const Options& options) {
    if (const auto found = pictures_.find(file); found != pictures_.end()) return found->second;
    std::ifstream stream(file, std::ios::binary);
    const std::string data{std::istreambuf_iterator<char>(stream), {}};
    try {
        if (!stream.good() && !stream.eof()) throw Error(bad_configuration, "it cannot be read");
        Options as_seen = options;
        as_seen.keep_profile = false;
        return pictures_.emplace(file, read(data, as_seen)).first->second;
    } catch (const Error& error) {
        throw Error(bad_configuration, "Configuration: \"watermark.file\" " + file + ": " + error.what());
    }
}

Converted convert(std::string_view data, std::string_view accept, const Options& options, Watermarks& watermarks) {
    const Format source = recognize(data);
    const Picture* mark = options.watermark ? &watermarks.get(options.watermark->file, options) : nullptr;
    if (moves(source, accept, options)) {
        if (const auto animation = animation_of(data, source, options)) {
            const auto change = [&](Picture frame) { return prepared(std::move(frame), options, mark); };
            return {encode_animation(*animation, options, change), Format::webp};
        }
    }
    Picture picture = prepared(decode(data, options), options, mark);
    Converted result;
    result.format = choose(source, accept, options, [&picture] { return picture.is_opaque(); });
    result.data = encode(picture, result.format, options);
    return result;
}

}  // namespace image
