// SPDX-License-Identifier: BSD-2-Clause
// JPEG, with libjpeg-turbo.
// jpeglib.h needs cstdio before it, and jerror.h needs jpeglib.h.
// clang-format off
#include <cstdio>

#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <memory>
#include <vector>

#include "codecs.hpp"
#include "colour.hpp"
#include "exif.hpp"

namespace image {
namespace {

// The library calls error() instead of returning; it must not return either.
struct Trouble {
    jpeg_error_mgr manager;
    std::jmp_buf back;
    char message[JMSG_LENGTH_MAX];
    bool data_missing;

    static Trouble& of(j_common_ptr info) { return *reinterpret_cast<Trouble*>(info->err); }
    [[noreturn]] static void error(j_common_ptr info) {
        info->err->format_message(info, of(info).message);
        std::longjmp(of(info).back, 1);  // NOLINT(cert-err52-cpp): an exception must not pass through C
    }
    // Most warnings are about harmless differences. These say that there are pixels without data.
    static void message_of(j_common_ptr info, int level) {
        const int code = info->err->msg_code;
        if (level < 0 && (code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC)) {
            of(info).data_missing = true;
        }
    }
    void init() {
        jpeg_std_error(&manager);
        manager.error_exit = error;
        manager.emit_message = message_of;
        data_missing = false;
    }
};

// Calls `function`, which calls the library and has nothing to destroy.
template <typename Function>
void guarded(Trouble& trouble, int status, Function function) {
    // NOLINTNEXTLINE(cert-err52-cpp)
    if (setjmp(trouble.back) != 0) throw Error(status, std::string("JPEG: ") + trouble.message + ".");
    function();
}

class Reader {
  public:
    explicit Reader(std::string_view data) {
        trouble_.init();
        info_.err = &trouble_.manager;
        jpeg_create_decompress(&info_);
        jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(data.data()), data.size());
        // In place of the library's own, which warns even when only the end mark is missing.
        info_.src->fill_input_buffer = end_of_data;
        info_.client_data = this;
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() { jpeg_destroy_decompress(&info_); }

    jpeg_decompress_struct& info() { return info_; }

    void read_header() {
        call([this] {
            jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xffff);
            jpeg_save_markers(&info_, JPEG_APP0 + 2, 0xffff);
            jpeg_read_header(&info_, TRUE);
        });
        if (info_.num_components == 4 && info_.saw_Adobe_marker == 0) guess_colours();
    }

    // Into the picture, which has the right size; of CMYK the four channels as they are stored.
    void read_pixels(Picture& picture) {
        const bool four = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
        info_.out_color_space = four ? JCS_CMYK : JCS_EXT_BGRA;
        info_.dct_method = JDCT_ISLOW;
        call([this, &picture] {
            jpeg_start_decompress(&info_);
            while (info_.output_scanline < info_.output_height) {
                JSAMPROW row = picture.row(static_cast<int>(info_.output_scanline));
                jpeg_read_scanlines(&info_, &row, 1);
            }
        });
        if (trouble_.data_missing || (ended_ && !is_complete())) {
            throw Error(broken_input, "JPEG: a part of the picture is missing.");
        }
    }

    std::string profile() {
        JOCTET* data = nullptr;
        unsigned length = 0;
        call([&] { jpeg_read_icc_profile(&info_, &data, &length); });
        const std::unique_ptr<JOCTET, decltype(&std::free)> owner(data, &std::free);
        return {reinterpret_cast<const char*>(data), length};
    }

    int orientation() const {
        for (auto marker = info_.marker_list; marker != nullptr; marker = marker->next) {
            const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
            if (marker->marker == JPEG_APP0 + 1 && data.substr(0, 4) == "Exif") {
                return exif_orientation(data);
            }
        }
        return 1;
    }

  private:
    template <typename Function>
    void call(Function function) {
        guarded(trouble_, broken_input, function);
    }
    // Of four colours without Adobe's marker. The library calls them CMYK, but most are YCCK, which has less samples of
    // two components. libjpeg gives the components of CMYK their initials as numbers.
    void guess_colours() {
        const jpeg_component_info* components = info_.comp_info;
        if (components[0].h_samp_factor > components[1].h_samp_factor) {
            info_.jpeg_color_space = JCS_YCCK;
        } else if (components[0].component_id != 'C' || components[3].component_id != 'K') {
            throw Error(broken_input, "JPEG: there are four colours, and no marker that says which.");
        }
    }
    // As if the end mark were there.
    static boolean end_of_data(j_decompress_ptr info) {
        static constexpr JOCTET end[] = {0xff, JPEG_EOI};
        static_cast<Reader*>(info->client_data)->ended_ = true;
        info->src->next_input_byte = end;
        info->src->bytes_in_buffer = sizeof(end);
        return TRUE;
    }
    // Did a progressive picture come with all bits of all coefficients?
    bool is_complete() const {
        if (info_.coef_bits == nullptr) return true;
        for (int component = 0; component < info_.num_components; component++) {
            const int* bits = info_.coef_bits[component];
            if (std::any_of(bits, bits + DCTSIZE2, [](int missing) { return missing != 0; })) return false;
        }
        return true;
    }

    Trouble trouble_;
    jpeg_decompress_struct info_;
    bool ended_ = false;
};

class Writer {
  public:
    Writer() {
        trouble_.init();
        info_.err = &trouble_.manager;
        jpeg_create_compress(&info_);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() {
        jpeg_destroy_compress(&info_);
        std::free(data_);
    }

    std::string write(const Picture& picture, const Options& options) {
        const bool gray = picture.is_gray() && picture.profile.empty();
        std::vector<std::uint8_t> line(static_cast<std::size_t>(picture.width()) * (gray ? 1 : 4));
        guarded(trouble_, 500, [&] {
            start(picture, options, gray);
            while (info_.next_scanline < info_.image_height) {
                const std::uint8_t* pixels = picture.row(static_cast<int>(info_.next_scanline));
                for (std::size_t x = 0; gray && x < line.size(); x++) line[x] = pixels[x * 4];
                JSAMPROW row = gray ? line.data() : const_cast<JSAMPROW>(pixels);
                jpeg_write_scanlines(&info_, &row, 1);
            }
            jpeg_finish_compress(&info_);
        });
        return {reinterpret_cast<const char*>(data_), length_};
    }

  private:
    void start(const Picture& picture, const Options& options, bool gray) {
        jpeg_mem_dest(&info_, &data_, &length_);
        info_.image_width = static_cast<JDIMENSION>(picture.width());
        info_.image_height = static_cast<JDIMENSION>(picture.height());
        info_.input_components = gray ? 1 : 4;
        info_.in_color_space = gray ? JCS_GRAYSCALE : JCS_EXT_BGRX;
        jpeg_set_defaults(&info_);
        const int quality = options.quality.value_or(80);
        jpeg_set_quality(&info_, quality, TRUE);
        if (quality >= 90 && !gray) info_.comp_info[0].h_samp_factor = info_.comp_info[0].v_samp_factor = 1;
        if (options.speed.value_or(5) < 8) {
            info_.optimize_coding = TRUE;
            jpeg_simple_progression(&info_);
        }
        jpeg_start_compress(&info_, TRUE);
        if (!picture.profile.empty()) {
            jpeg_write_icc_profile(&info_, reinterpret_cast<const JOCTET*>(picture.profile.data()),
                                   static_cast<unsigned>(picture.profile.size()));
        }
    }

    Trouble trouble_;
    jpeg_compress_struct info_;
    unsigned char* data_ = nullptr;
    unsigned long length_ = 0;
};

}  // namespace

Picture decode_jpeg(std::string_view data, const Options& options) {
    Reader reader(data);
    reader.read_header();
    check_size(reader.info().image_width, reader.info().image_height, options);
    Picture picture(static_cast<int>(reader.info().image_width), static_cast<int>(reader.info().image_height));
    reader.read_pixels(picture);
    picture.orientation = reader.orientation();
    picture.profile = reader.profile();
    if (reader.info().out_color_space == JCS_CMYK) cmyk_to_srgb(picture);
    return picture;
}

std::string encode_jpeg(const Picture& picture, const Options& options) {
    if (std::max(picture.width(), picture.height()) > JPEG_MAX_DIMENSION) {
        throw Error(too_large, "A JPEG picture has at most 65500 pixels in a direction.");
    }
    return Writer().write(picture, options);
}

}  // namespace image
