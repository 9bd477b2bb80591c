// SPDX-License-Identifier: BSD-2-Clause
// WebP, with libwebp.
#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <algorithm>
#include <memory>

#include "codecs.hpp"
#include "exif.hpp"

namespace image {
namespace {

using Demuxer = std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)>;
using AnimationDecoder = std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)>;
using AnimationEncoder = std::unique_ptr<WebPAnimEncoder, decltype(&WebPAnimEncoderDelete)>;
using Mux = std::unique_ptr<WebPMux, decltype(&WebPMuxDelete)>;

const std::uint8_t* bytes(std::string_view data) { return reinterpret_cast<const std::uint8_t*>(data.data()); }
WebPData as_data(std::string_view data) { return {bytes(data), data.size()}; }

// Text or bytes that the library has allocated.
class Output {
  public:
    Output() { WebPDataInit(&data_); }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output() { WebPDataClear(&data_); }
    WebPData* get() { return &data_; }
    std::string text() const { return {reinterpret_cast<const char*>(data_.bytes), data_.size}; }

  private:
    WebPData data_;
};

WebPBitstreamFeatures features_of(std::string_view data) {
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(bytes(data), data.size(), &features) != VP8_STATUS_OK) {
        throw Error(broken_input, "WebP: the picture is broken, or a part of it is missing.");
    }
    return features;
}

Demuxer demuxer_of(std::string_view data) {
    const WebPData all = as_data(data);
    Demuxer demuxer(WebPDemux(&all), &WebPDemuxDelete);
    if (!demuxer) throw Error(broken_input, "WebP: a part of the picture is missing.");
    return demuxer;
}

std::string chunk(const Demuxer& demuxer, const char* name) {
    WebPChunkIterator iterator;
    std::string content;
    if (WebPDemuxGetChunk(demuxer.get(), name, 1, &iterator) != 0) {
        content.assign(reinterpret_cast<const char*>(iterator.chunk.bytes), iterator.chunk.size);
    }
    WebPDemuxReleaseChunkIterator(&iterator);
    return content;
}

class WebpAnimation : public Animation {
  public:
    WebpAnimation(std::string_view data, const Options& options) : demuxer_(demuxer_of(data)) {
        profile_ = chunk(demuxer_, "ICCP");
        orientation_ = exif_orientation(chunk(demuxer_, "EXIF"));
        const auto value = [this](WebPFormatFeature feature) { return WebPDemuxGetI(demuxer_.get(), feature); };
        check_size(value(WEBP_FF_CANVAS_WIDTH), value(WEBP_FF_CANVAS_HEIGHT), options);
        WebPAnimDecoderOptions decoder_options;
        WebPAnimDecoderOptionsInit(&decoder_options);
        decoder_options.color_mode = MODE_BGRA;
        const WebPData all = as_data(data);
        decoder_.reset(WebPAnimDecoderNew(&all, &decoder_options));
        if (!decoder_ || WebPAnimDecoderGetInfo(decoder_.get(), &info_) == 0) throw std::bad_alloc();
    }
    Info info() const override {
        return {static_cast<int>(info_.canvas_width), static_cast<int>(info_.canvas_height), info_.frame_count,
                static_cast<int>(info_.loop_count), info_.bgcolor};
    }
    bool has_more() const override { return WebPAnimDecoderHasMoreFrames(decoder_.get()) != 0; }
    Picture next(int& end) override {
        std::uint8_t* pixels = nullptr;
        if (WebPAnimDecoderGetNext(decoder_.get(), &pixels, &end) == 0) {
            throw Error(broken_input, "WebP: a frame is broken.");
        }
        Picture picture(static_cast<int>(info_.canvas_width), static_cast<int>(info_.canvas_height));
        std::copy_n(reinterpret_cast<const std::uint32_t*>(pixels), picture.count(), picture.pixels());
        picture.profile = profile_;
        picture.orientation = orientation_;
        return picture;
    }

  private:
    Demuxer demuxer_;
    AnimationDecoder decoder_{nullptr, &WebPAnimDecoderDelete};
    WebPAnimInfo info_{};
    std::string profile_;
    int orientation_ = 1;
};

WebPConfig config_of(const Options& options) {
    WebPConfig config;
    WebPConfigInit(&config);
    config.quality = static_cast<float>(options.quality.value_or(75));
    config.method = 6 - options.speed.value_or(4) * 6 / 10;
    config.lossless = options.lossless ? 1 : 0;
    return config;
}

// Borrows the picture's pixels.
WebPPicture borrow(Picture& picture) {
    WebPPicture raw;
    WebPPictureInit(&raw);
    raw.use_argb = 1;
    raw.width = picture.width();
    raw.height = picture.height();
    raw.argb = picture.pixels();
    raw.argb_stride = picture.width();
    return raw;
}

void check_dimensions(const Picture& picture) {
    if (std::max(picture.width(), picture.height()) > WEBP_MAX_DIMENSION) {
        throw Error(too_large, "A WebP picture has at most 16383 pixels in a direction.");
    }
}

[[noreturn]] void fail(WebPEncodingError error) {
    if (error == VP8_ENC_ERROR_OUT_OF_MEMORY || error == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY) throw std::bad_alloc();
    throw Error(500, "WebP: the encoder failed (" + std::to_string(error) + ").");
}

std::string with_profile(const WebPData& encoded, const std::string& profile) {
    const Mux mux(WebPMuxCreate(&encoded, 0), &WebPMuxDelete);
    const WebPData icc = as_data(profile);
    Output output;
    if (!mux || WebPMuxSetChunk(mux.get(), "ICCP", &icc, 0) != WEBP_MUX_OK ||
        WebPMuxAssemble(mux.get(), output.get()) != WEBP_MUX_OK) {
        throw std::bad_alloc();
    }
    return output.text();
}

}  // namespace

Picture decode_webp(std::string_view data, const Options& options) {
    const WebPBitstreamFeatures features = features_of(data);
    check_size(static_cast<unsigned>(features.width), static_cast<unsigned>(features.height), options);
    if (features.has_animation != 0) {
        int end = 0;
        return WebpAnimation(data, options).next(end);
    }
    const Demuxer demuxer = demuxer_of(data);
    Picture picture(features.width, features.height);
    if (WebPDecodeBGRAInto(bytes(data), data.size(), picture.row(0), picture.count() * 4, picture.width() * 4) ==
        nullptr) {
        throw Error(broken_input, "WebP: the picture is broken, or a part of it is missing.");
    }
    picture.profile = chunk(demuxer, "ICCP");
    picture.orientation = exif_orientation(chunk(demuxer, "EXIF"));
    return picture;
}

std::string encode_webp(Picture& picture, const Options& options) {
    check_dimensions(picture);
    const WebPConfig config = config_of(options);
    WebPMemoryWriter writer;
    WebPMemoryWriterInit(&writer);
    const std::unique_ptr<WebPMemoryWriter, decltype(&WebPMemoryWriterClear)> owner(&writer, &WebPMemoryWriterClear);
    WebPPicture raw = borrow(picture);
    raw.writer = WebPMemoryWrite;
    raw.custom_ptr = &writer;
    const bool done = WebPEncode(&config, &raw) != 0;
    WebPPictureFree(&raw);
    if (!done) fail(raw.error_code);
    if (!picture.profile.empty()) return with_profile({writer.mem, writer.size}, picture.profile);
    return {reinterpret_cast<const char*>(writer.mem), writer.size};
}

std::unique_ptr<Animation> open_webp_animation(std::string_view data, const Options& options) {
    return features_of(data).has_animation != 0 ? std::make_unique<WebpAnimation>(data, options) : nullptr;
}

std::string encode_animation(Animation& animation, const Options& options,
                             const std::function<Picture(Picture)>& change) {
    const Animation::Info info = animation.info();
    const auto pixels = static_cast<std::uint64_t>(info.width) * static_cast<std::uint64_t>(info.height);
    if (info.frames > options.max_animation_pixels / pixels) {
        throw Error(too_large, "The frames have more pixels together than max_animation_pixels (" +
                                   std::to_string(options.max_animation_pixels) + ").");
    }
    const WebPConfig config = config_of(options);
    WebPAnimEncoderOptions encoder_options;
    WebPAnimEncoderOptionsInit(&encoder_options);
    encoder_options.anim_params = {info.background, info.loops};
    AnimationEncoder encoder(nullptr, &WebPAnimEncoderDelete);
    int begin = 0;
    std::string profile;
    while (animation.has_more()) {
        int end = 0;
        Picture frame = change(animation.next(end));
        check_dimensions(frame);
        if (!encoder) encoder.reset(WebPAnimEncoderNew(frame.width(), frame.height(), &encoder_options));
        WebPPicture raw = borrow(frame);
        const bool added = encoder && WebPAnimEncoderAdd(encoder.get(), &raw, begin, &config) != 0;
        WebPPictureFree(&raw);
        if (!added) fail(raw.error_code);
        profile = frame.profile;
        begin = end;
    }
    Output output;
    if (!encoder || WebPAnimEncoderAdd(encoder.get(), nullptr, begin, nullptr) == 0 ||
        WebPAnimEncoderAssemble(encoder.get(), output.get()) == 0) {
        throw Error(broken_input, "WebP: the animation is broken.");
    }
    return profile.empty() ? output.text() : with_profile(*output.get(), profile);
}

}  // namespace image
