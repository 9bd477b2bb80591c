// SPDX-License-Identifier: BSD-2-Clause
// Pixels to text, with libtesseract.
#pragma once

#include <memory>
#include <string>

#include "../image/picture.hpp"
#include "options.hpp"

namespace tesseract {
class TessBaseAPI;
}

namespace ocr {

// The network and the dictionaries of some languages, in memory.
class Reader {
  public:
    // Throws an Error when there are no such languages.
    explicit Reader(const std::string& languages);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // What is written on the picture, which is upright and opaque, in the format of the options. Throws an Error.
    std::string read(image::Picture picture, const Options& options);

  private:
    std::unique_ptr<tesseract::TessBaseAPI> tesseract_;
};

}  // namespace ocr
