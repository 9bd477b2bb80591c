// SPDX-License-Identifier: BSD-2-Clause
#include "reader.hpp"

#include <tesseract/baseapi.h>
#include <tesseract/resultiterator.h>

#include <algorithm>
#include <cmath>

#include "../options.hpp"

namespace ocr {
namespace {

using gallery::json;
using tesseract::TessBaseAPI;

constexpr int max_dimension = 32767;

std::string owned(char* text) {
    const std::unique_ptr<char[]> owner(text);
    return text != nullptr ? text : "";
}

// The library keeps a copy.
void show(TessBaseAPI& tesseract, image::Picture& picture) {
    const int width = picture.width(), height = picture.height();
    auto* bytes = reinterpret_cast<unsigned char*>(picture.pixels());
    if (picture.is_gray()) {
        for (std::size_t i = 0; i < picture.count(); i++) bytes[i] = bytes[i * 4];
        tesseract.SetImage(bytes, width, height, 1, width);
    } else {
        for (std::size_t i = 0; i < picture.count(); i++) std::swap(bytes[i * 4], bytes[i * 4 + 2]);
        tesseract.SetImage(bytes, width, height, 4, width * 4);
    }
}

// As the command frames it (hOCR 1.2).
std::string hocr_document(TessBaseAPI& tesseract) {
    return std::string(R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title></title>
<meta name="ocr-system" content="tesseract )") +
           TessBaseAPI::Version() + R"("/>
<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_wconf"/>
</head>
<body>
)" + owned(tesseract.GetHOCRText(0)) +
           "</body>\n</html>\n";
}

std::string table(TessBaseAPI& tesseract) {
    return "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n" +
           owned(tesseract.GetTSVText(0));
}

json element(const tesseract::ResultIterator& at, tesseract::PageIteratorLevel level) {
    std::string text = owned(at.GetUTF8Text(level));
    text.erase(text.find_last_not_of('\n') + 1);
    int left = 0, top = 0, right = 0, bottom = 0;
    at.BoundingBox(level, &left, &top, &right, &bottom);
    const double confidence = std::round(at.Confidence(level) * 10) / 10;
    return {{"text", text}, {"confidence", confidence}, {"box", {left, top, right - left, bottom - top}}};
}

std::string lines(TessBaseAPI& tesseract) {
    json result = {{"text", owned(tesseract.GetUTF8Text())}, {"lines", json::array()}};
    const std::unique_ptr<tesseract::ResultIterator> at(tesseract.GetIterator());
    if (at && !at->Empty(tesseract::RIL_WORD)) {
        do {
            if (at->IsAtBeginningOf(tesseract::RIL_TEXTLINE)) {
                result["lines"].push_back(element(*at, tesseract::RIL_TEXTLINE));
                result["lines"].back()["words"] = json::array();
            }
            result["lines"].back()["words"].push_back(element(*at, tesseract::RIL_WORD));
        } while (at->Next(tesseract::RIL_WORD));
    }
    return result.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string formatted(TessBaseAPI& tesseract, Format format) {
    switch (format) {
        case Format::text: return owned(tesseract.GetUTF8Text());
        case Format::hocr: return hocr_document(tesseract);
        case Format::tsv: return table(tesseract);
        case Format::json: break;
    }
    return lines(tesseract);
}

}  // namespace

Reader::Reader(const std::string& languages) : tesseract_(std::make_unique<TessBaseAPI>()) {
    if (tesseract_->Init(nullptr, languages.c_str()) != 0) {
        gallery::refuse("languages", "names what is not installed: " + json(languages).dump());
    }
    // Remarks such as which resolution it supposes.
    tesseract_->SetVariable("debug_file", "/dev/null");
}

Reader::~Reader() = default;

std::string Reader::read(image::Picture picture, const Options& options) {
    if (std::max(picture.width(), picture.height()) > max_dimension) {
        throw gallery::Error(gallery::too_large, "A picture to read has at most 32767 pixels in a direction.");
    }
    tesseract_->SetPageSegMode(static_cast<tesseract::PageSegMode>(options.psm));
    show(*tesseract_, picture);
    picture = {};
    if (options.resolution != 0) tesseract_->SetSourceResolution(options.resolution);
    if (tesseract_->Recognize(nullptr) != 0) throw gallery::Error(gallery::broken_input, "The picture cannot be read.");
    std::string result = formatted(*tesseract_, options.format);
    // Nothing of what was read changes how the next picture is read.
    tesseract_->Clear();
    tesseract_->ClearAdaptiveClassifier();
    return result;
}

}  // namespace ocr
