// SPDX-License-Identifier: BSD-2-Clause
// Changes POSTed pictures: JPEG, PNG, WebP and AVIF into each other, GIF into these, their size, a watermark on them.
// What is to be done is JSON: defaults as the program's first argument, and what a request says in its own argument.
// docs/images.md has the keys. On Linux: image [JSON [FILE]] writes the result to standard output.
#include <cstdlib>
#include <string>
#include <string_view>

#include "../program.hpp"
#include "codecs.hpp"
#include "convert.hpp"

namespace {

constexpr char usage[] =
    "Usage: image [JSON [FILE]] >RESULT\n"
    "Converts a picture (JPEG, PNG, WebP, AVIF, GIF), from standard input or a file. Keys of the JSON:\n"
    "  format      jpeg, png, webp, avif, same (default; of GIF WebP), or auto: the best that $HTTP_ACCEPT names\n"
    "  quality     0 to 100 (JPEG 80, WebP 75, AVIF 60)\n"
    "  speed       0 to 10 (JPEG 5, PNG 4, WebP 4, AVIF 8)\n"
    "  lossless    true or false (default), of WebP\n"
    "  width, height, resize (fit, fill, crop), gravity (center, north, southeast, ...), enlarge\n"
    "  thumbnail   a name in thumbnails: small, medium, large, unless said\n"
    "  thumbnails  an object of names with width, height, resize, gravity, enlarge\n"
    "  watermark   an object with file, position, scale, opacity, margin\n"
    "  background  of a JPEG in place of what is transparent (#ffffff)\n"
    "  profile     srgb (default) or keep\n"
    "  animation   keep (default) or first, of WebP and GIF\n"
    "  max_pixels, max_animation_pixels\n";

class Image : public gallery::Program {
  public:
    const char* name() const override { return "image"; }
    const char* usage() const override { return ::usage; }

    void configure(std::string_view argument) override {
        defaults_ = image::parse_options(argument, {});
        if (defaults_.watermark) watermarks_.get(defaults_.watermark->file, defaults_);
        negotiated_ = is_negotiated(defaults_);
    }

    // Each library finds out what this CPU can do and makes its tables when it is used for the first time.
    void warm_up() override {
        image::Picture picture(16, 16);
        for (std::size_t i = 0; i < picture.count(); i++) {
            picture.pixels()[i] = static_cast<std::uint32_t>(i * 0x01020304);
        }
        const std::string png = image::encode_png(picture, defaults_);
        for (const auto format : {image::Format::jpeg, image::Format::webp, image::Format::avif, image::Format::png}) {
            image::Options options = defaults_;
            options.choice = image::Options::Choice::named;
            options.format = format;
            options.size.width = 9;
            const image::Converted first = image::convert(png, "", options, watermarks_);
            (void)image::convert(first.data, "", options, watermarks_);
        }
    }

    kvm::Response answer(const kvm::Request& request) override {
        const image::Options options = image::parse_options(request.argument(), defaults_);
        negotiated_ = is_negotiated(options);
        gallery::want_body(request, "a picture");
        image::Converted result =
            image::convert(request.text(), request.header("Accept").value_or(""), options, watermarks_);
        return kvm::Response(200, image::content_type_of(result.format), std::move(result.data));
    }

    const char* varies_by() const override { return negotiated_ ? "Accept" : nullptr; }

    std::string convert(const std::string& input) override {
        const char* accept = std::getenv("HTTP_ACCEPT");
        return image::convert(input, accept != nullptr ? accept : "", defaults_, watermarks_).data;
    }

  private:
    static bool is_negotiated(const image::Options& options) {
        return options.choice == image::Options::Choice::automatic;
    }

    image::Options defaults_;
    image::Watermarks watermarks_;
    // Does the answer to this request depend on what the client accepts?
    bool negotiated_ = false;
};

}  // namespace

int main(int argc, char** argv) {
    Image program;
    return gallery::run(program, argc, argv);
}
