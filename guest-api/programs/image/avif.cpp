// SPDX-License-Identifier: BSD-2-Clause
// AVIF, with libavif: dav1d or libaom read, libaom writes.
#include <avif/avif.h>

#include <algorithm>
#include <memory>

#include "codecs.hpp"
#include "transform.hpp"

namespace image {
namespace {

using Decoder = std::unique_ptr<avifDecoder, decltype(&avifDecoderDestroy)>;
using Encoder = std::unique_ptr<avifEncoder, decltype(&avifEncoderDestroy)>;
using Image = std::unique_ptr<avifImage, decltype(&avifImageDestroy)>;

constexpr int max_dimension = 16384;

void check(avifResult result, int status) {
    if (result == AVIF_RESULT_OK) return;
    if (result == AVIF_RESULT_OUT_OF_MEMORY) throw std::bad_alloc();
    throw Error(status, std::string("AVIF: ") + avifResultToString(result) + ".");
}

avifRGBImage pixels_of(const avifImage& image, const Picture& picture) {
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, &image);
    rgb.format = AVIF_RGB_FORMAT_BGRA;
    rgb.depth = 8;
    rgb.pixels = const_cast<std::uint8_t*>(picture.row(0));
    rgb.rowBytes = static_cast<std::uint32_t>(picture.width()) * 4;
    return rgb;
}

// The mirror comes after the rotation.
int mirrored_orientation(const avifImage& image) {
    if ((image.transformFlags & AVIF_TRANSFORM_IMIR) == 0) return 1;
#if AVIF_VERSION_MAJOR >= 1
    return image.imir.axis == 0 ? 4 : 2;
#else
    return image.imir.mode == 0 ? 4 : 2;
#endif
}

int rotated_orientation(const avifImage& image) {
    static constexpr int by_angle[] = {1, 8, 3, 6};
    return (image.transformFlags & AVIF_TRANSFORM_IROT) == 0 ? 1 : by_angle[image.irot.angle & 3];
}

void set_quality(avifEncoder& encoder, int quality) {
#if AVIF_VERSION_MAJOR >= 1
    encoder.quality = encoder.qualityAlpha = quality;
#else
    const int quantizer = AVIF_QUANTIZER_WORST_QUALITY * (100 - quality) / 100;
    encoder.minQuantizer = encoder.maxQuantizer = encoder.minQuantizerAlpha = encoder.maxQuantizerAlpha = quantizer;
#endif
}

}  // namespace

Picture decode_avif(std::string_view data, const Options& options) {
    const Decoder decoder(avifDecoderCreate(), &avifDecoderDestroy);
    if (!decoder) throw std::bad_alloc();
    decoder->maxThreads = 1;
    decoder->strictFlags = AVIF_STRICT_DISABLED;
    decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
    check(avifDecoderSetIOMemory(decoder.get(), reinterpret_cast<const std::uint8_t*>(data.data()), data.size()),
          broken_input);
    check(avifDecoderParse(decoder.get()), broken_input);
    check_size(decoder->image->width, decoder->image->height, options);
    check(avifDecoderNextImage(decoder.get()), broken_input);
    const avifImage& image = *decoder->image;
    check_size(image.width, image.height, options);
    Picture picture(static_cast<int>(image.width), static_cast<int>(image.height));
    avifRGBImage rgb = pixels_of(image, picture);
    check(avifImageYUVToRGB(&image, &rgb), broken_input);
    picture.profile.assign(reinterpret_cast<const char*>(image.icc.data), image.icc.size);
    picture.orientation = rotated_orientation(image);
    if (const int mirrored = mirrored_orientation(image); mirrored != 1) {
        picture = upright(std::move(picture));
        picture.orientation = mirrored;
    }
    return picture;
}

std::string encode_avif(const Picture& picture, const Options& options) {
    if (std::max(picture.width(), picture.height()) > max_dimension) {
        throw Error(too_large, "An AVIF picture has at most 16384 pixels in a direction.");
    }
    const avifPixelFormat format = picture.is_gray() && picture.profile.empty() ? AVIF_PIXEL_FORMAT_YUV400
                                   : options.quality.value_or(0) >= 90          ? AVIF_PIXEL_FORMAT_YUV444
                                                                                : AVIF_PIXEL_FORMAT_YUV420;
    const Image image(avifImageCreate(static_cast<std::uint32_t>(picture.width()),
                                      static_cast<std::uint32_t>(picture.height()), 8, format),
                      &avifImageDestroy);
    const Encoder encoder(avifEncoderCreate(), &avifEncoderDestroy);
    if (!image || !encoder) throw std::bad_alloc();
    image->colorPrimaries = AVIF_COLOR_PRIMARIES_BT709;
    image->transferCharacteristics = AVIF_TRANSFER_CHARACTERISTICS_SRGB;
    image->matrixCoefficients = AVIF_MATRIX_COEFFICIENTS_BT601;
    if (!picture.profile.empty()) {
        // What it returns differs between versions of the library.
        (void)avifImageSetProfileICC(image.get(), reinterpret_cast<const std::uint8_t*>(picture.profile.data()),
                                     picture.profile.size());
    }
    avifRGBImage rgb = pixels_of(*image, picture);
    rgb.ignoreAlpha = picture.is_opaque() ? AVIF_TRUE : AVIF_FALSE;
    check(avifImageRGBToYUV(image.get(), &rgb), 500);
    encoder->maxThreads = 1;
    encoder->speed = options.speed.value_or(8);
    set_quality(*encoder, options.quality.value_or(60));
    avifRWData output = AVIF_DATA_EMPTY;
    const std::unique_ptr<avifRWData, decltype(&avifRWDataFree)> owner(&output, &avifRWDataFree);
    check(avifEncoderWrite(encoder.get(), image.get(), &output), 500);
    return {reinterpret_cast<const char*>(output.data), output.size};
}

}  // namespace image
