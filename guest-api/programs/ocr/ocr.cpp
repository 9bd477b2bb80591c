// SPDX-License-Identifier: BSD-2-Clause
// Reads the text in POSTed pictures. What is to be read, and how, is JSON: defaults as the program's first argument,
// and what a request says in its own argument. docs/ocr.md has the keys. On Linux: ocr [JSON [FILE]] writes the text to
// standard output.
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "../image/convert.hpp"
#include "../image/transform.hpp"
#include "../program.hpp"
#include "options.hpp"
#include "reader.hpp"

namespace {

constexpr char usage[] =
    "Usage: ocr [JSON [FILE]] >TEXT\n"
    "Reads the text in a picture (JPEG, PNG, WebP, AVIF, GIF), from standard input or a file. Keys of the JSON:\n"
    "  languages   as tesseract --list-langs lists them, with a plus between them (eng)\n"
    "  psm         page segmentation mode: 3 finds it out (default), 4 one column, 6 one block, 7 one line, 8 one "
    "word,\n"
    "              10 one character, 11 text anywhere, 13 one line as it is; 5 and 9 are for vertical and round text\n"
    "  format      text (default), hocr, tsv, json\n"
    "  resolution  dots per inch; 0 is an estimate (default)\n"
    "  max_pixels  (20000000)\n";

constexpr std::uint32_t white = 0xffffffff, black = 0xff000000;

// A word in large letters.
image::Picture example() {
    constexpr std::array word = {"##### ##### ##### #####", "  #   #     #       #  ", "  #   #     #       #  ",
                                 "  #   ####  #####   #  ", "  #   #         #   #  ", "  #   #         #   #  ",
                                 "  #   ##### #####   #  "};
    constexpr std::size_t scale = 6, margin = 20, columns = std::char_traits<char>::length(word[0]);
    image::Picture picture(columns * scale + 2 * margin, word.size() * scale + 2 * margin);
    std::fill_n(picture.pixels(), picture.count(), white);
    for (std::size_t y = 0; y < word.size() * scale; y++) {
        for (std::size_t x = 0; x < columns * scale; x++) {
            if (word[y / scale][x / scale] != '#') continue;
            picture.pixels()[(y + margin) * static_cast<std::size_t>(picture.width()) + x + margin] = black;
        }
    }
    return picture;
}

image::Picture decoded(std::string_view data, const ocr::Options& options) {
    image::Options limits;
    limits.max_pixels = options.max_pixels;
    image::Picture picture = image::read(data, limits);
    image::flatten(picture, white);
    return picture;
}

class Ocr : public gallery::Program {
  public:
    const char* name() const override { return "ocr"; }
    const char* usage() const override { return ::usage; }

    void configure(std::string_view argument) override {
        defaults_ = ocr::parse_options(argument, {});
        reader_.emplace(defaults_.languages);
    }

    // The library makes tables, and finds out what this CPU can do, when it is used for the first time.
    void warm_up() override { (void)reader_->read(example(), defaults_); }

    kvm::Response answer(const kvm::Request& request) override {
        const ocr::Options options = ocr::parse_options(request.argument(), defaults_);
        gallery::want_body(request, "a picture");
        return kvm::Response(200, ocr::content_type_of(options.format), read(request.text(), options));
    }

    std::string convert(const std::string& input) override { return read(input, defaults_); }

  private:
    std::string read(std::string_view data, const ocr::Options& options) {
        image::Picture picture = decoded(data, options);
        if (options.languages == defaults_.languages) return reader_->read(std::move(picture), options);
        return ocr::Reader(options.languages).read(std::move(picture), options);
    }

    ocr::Options defaults_;
    std::optional<ocr::Reader> reader_;
};

}  // namespace

int main(int argc, char** argv) {
    Ocr program;
    return gallery::run(program, argc, argv);
}
