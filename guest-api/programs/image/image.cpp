// SPDX-License-Identifier: BSD-2-Clause
// Changes POSTed pictures: JPEG, PNG, WebP and AVIF into each other, their size, a watermark on them. What is to be
// done is JSON: defaults as the program's first argument, and what a request says in its own argument. docs/images.md
// has the keys. On Linux: image [JSON [FILE]] writes the result to standard output.
#include <cstdio>
#include <new>
#include <string>
#include <string_view>

#include "../input.hpp"
#include "codecs.hpp"
#include "convert.hpp"
#include "kvm_api.hpp"

namespace {

constexpr char usage[] =
    "Usage: image [JSON [FILE]] >RESULT\n"
    "Converts a picture (JPEG, PNG, WebP, AVIF), from standard input or a file. Keys of the JSON:\n"
    "  format      jpeg, png, webp, avif, same (default), or auto: the best that $HTTP_ACCEPT names\n"
    "  quality     0 to 100 (JPEG 80, WebP 75, AVIF 60)\n"
    "  speed       0 to 10 (JPEG 5, PNG 4, WebP 4, AVIF 8)\n"
    "  lossless    true or false (default), of WebP\n"
    "  width, height, resize (fit, fill, crop), gravity (center, north, southeast, ...), enlarge\n"
    "  thumbnail   a name in thumbnails: small, medium, large, unless said\n"
    "  thumbnails  an object of names with width, height, resize, gravity, enlarge\n"
    "  watermark   an object with file, position, scale, opacity, margin\n"
    "  background  of a JPEG in place of what is transparent (#ffffff)\n"
    "  profile     srgb (default) or keep\n"
    "  animation   keep (default) or first, of WebP\n"
    "  max_pixels, max_animation_pixels\n";

image::Options defaults;
image::Watermarks watermarks;

kvm::Response refusal(int status, std::string_view message) {
    kvm::log("image: " + std::string(message));
    return kvm::Response(status, "text/plain", std::string(message) + "\n");
}

kvm::Response converted(const kvm::Request& request, const image::Options& options) {
    image::Converted result =
        image::convert(request.text(), request.header("Accept").value_or(""), options, watermarks);
    return kvm::Response(200, image::content_type_of(result.format), std::move(result.data));
}

kvm::Response answer(const kvm::Request& request) {
    bool negotiated = defaults.choice == image::Options::Choice::automatic;
    const auto with_vary = [&negotiated](kvm::Response response) {
        if (negotiated) response.header("Vary", "Accept");
        return response;
    };
    try {
        const image::Options options = image::parse_options(request.argument(), defaults);
        negotiated = options.choice == image::Options::Choice::automatic;
        if (request.text().empty() && (request.method() == "GET" || request.method() == "HEAD")) {
            return refusal(405, "POST a picture, or put one before this program with chain().").header("Allow", "POST");
        }
        return with_vary(converted(request, options));
    } catch (const image::Error& error) {
        return with_vary(refusal(error.status(), error.what()));
    } catch (const std::bad_alloc&) {
        return with_vary(refusal(500, "There is not enough memory for this picture (max_request_memory)."));
    }
}

// Each library finds out what this CPU can do and makes its tables when it is used for the first time.
void warm_up() {
    image::Picture picture(16, 16);
    for (std::size_t i = 0; i < picture.count(); i++) picture.pixels()[i] = static_cast<std::uint32_t>(i * 0x01020304);
    const std::string png = image::encode_png(picture, defaults);
    for (const auto format : {image::Format::jpeg, image::Format::webp, image::Format::avif, image::Format::png}) {
        image::Options options = defaults;
        options.choice = image::Options::Choice::named;
        options.format = format;
        options.size.width = 9;
        const image::Converted first = image::convert(png, "", options, watermarks);
        (void)image::convert(first.data, "", options, watermarks);
    }
}

int run_on_linux(int argc, char** argv) {
    const std::optional<std::string> data = read_input(argc - 1, argv + 1);
    if (!data) return 2;
    const char* accept = std::getenv("HTTP_ACCEPT");
    try {
        const auto result = image::convert(*data, accept != nullptr ? accept : "", defaults, watermarks);
        return std::fwrite(result.data.data(), 1, result.data.size(), stdout) == result.data.size() ? 0 : 2;
    } catch (const image::Error& error) {
        std::fprintf(stderr, "image: %s\n", error.what());
        return 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view argument = argc > 1 ? argv[1] : "";
    if (argument == "--help" || argument == "-h") {
        std::fputs(usage, stdout);
        return 0;
    }
    try {
        defaults = image::parse_options(argument, {});
        if (defaults.watermark) watermarks.get(defaults.watermark->file, defaults);
        if (IS_LINUX_MAIN()) return run_on_linux(argc, argv);
        warm_up();
    } catch (const image::Error& error) {
        std::fprintf(stderr, "image: %s\n", error.what());
        if (!IS_LINUX_MAIN()) kvm::log(std::string("image: ") + error.what());
        return 2;
    }
    kvm::on_request(answer);
    kvm::serve();
}
