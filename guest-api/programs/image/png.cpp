// SPDX-License-Identifier: BSD-2-Clause
// PNG, with libpng.
#include <png.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "codecs.hpp"
#include "exif.hpp"

namespace image {
namespace {

constexpr png_alloc_size_t max_chunk = 8 << 20;  // of memory for a profile or a text, unpacked
constexpr png_uint_32 max_dimension = 65535;

struct Trouble {
    char message[128] = "";

    [[noreturn]] static void error(png_structp png, png_const_charp text) {
        auto* self = static_cast<Trouble*>(png_get_error_ptr(png));
        std::strncpy(self->message, text, sizeof(self->message) - 1);
        png_longjmp(png, 1);
    }
    static void warning(png_structp, png_const_charp) {}
};

// Calls `function`, which calls the library and has nothing to destroy. Was there no error?
template <typename Function>
bool succeeds(png_structp png, Function function) {
    // NOLINTNEXTLINE(cert-err52-cpp): an exception must not pass through C
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    function();
    return true;
}

class Reader {
  public:
    explicit Reader(std::string_view data)
        : data_(data),
          png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, &trouble_, Trouble::error, Trouble::warning)),
          info_(png_ != nullptr ? png_create_info_struct(png_) : nullptr) {
        if (info_ == nullptr) throw std::bad_alloc();
        png_set_read_fn(png_, this, read);
        png_set_chunk_malloc_max(png_, max_chunk);
        png_set_user_limits(png_, max_dimension, max_dimension);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }

    void read_header() {
        call([this] { png_read_info(png_, info_); });
    }
    png_uint_32 width() const { return png_get_image_width(png_, info_); }
    png_uint_32 height() const { return png_get_image_height(png_, info_); }

    void read_pixels(Picture& picture) {
        std::vector<png_bytep> rows(static_cast<std::size_t>(picture.height()));
        for (int y = 0; y < picture.height(); y++) rows[static_cast<std::size_t>(y)] = picture.row(y);
        call([this, &rows] {
            png_set_expand(png_);
            png_set_scale_16(png_);
            png_set_gray_to_rgb(png_);
            png_set_add_alpha(png_, 0xff, PNG_FILLER_AFTER);
            png_set_bgr(png_);
            png_set_interlace_handling(png_);
            png_read_update_info(png_, info_);
            png_read_image(png_, rows.data());
        });
        // All pixels are there. What is wrong from here on does no harm.
        (void)succeeds(png_, [this] { png_read_end(png_, info_); });
    }

    std::string profile() {
        png_charp name = nullptr;
        png_bytep data = nullptr;
        png_uint_32 length = 0;
        int compression = 0;
        if (png_get_iCCP(png_, info_, &name, &compression, &data, &length) == 0) return {};
        return {reinterpret_cast<const char*>(data), length};
    }
    int orientation() {
        png_bytep data = nullptr;
        png_uint_32 length = 0;
        if (png_get_eXIf_1(png_, info_, &length, &data) == 0) return 1;
        return exif_orientation({reinterpret_cast<const char*>(data), length});
    }

  private:
    template <typename Function>
    void call(Function function) {
        if (!succeeds(png_, function)) throw Error(broken_input, std::string("PNG: ") + trouble_.message + ".");
    }
    static void read(png_structp png, png_bytep to, std::size_t length) {
        auto* self = static_cast<Reader*>(png_get_io_ptr(png));
        if (length > self->data_.size()) png_error(png, "a part of the picture is missing");
        std::memcpy(to, self->data_.data(), length);
        self->data_.remove_prefix(length);
    }

    std::string_view data_;
    Trouble trouble_;
    png_structp png_;
    png_infop info_;
};

class Writer {
  public:
    Writer()
        : png_(png_create_write_struct(PNG_LIBPNG_VER_STRING, &trouble_, Trouble::error, Trouble::warning)),
          info_(png_ != nullptr ? png_create_info_struct(png_) : nullptr) {
        if (info_ == nullptr) throw std::bad_alloc();
        png_set_write_fn(png_, this, write, nullptr);
        png_set_user_limits(png_, max_dimension, max_dimension);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() { png_destroy_write_struct(&png_, &info_); }

    std::string write(const Picture& picture, const Options& options) {
        const bool gray = picture.is_gray() && picture.profile.empty();
        const bool opaque = picture.is_opaque();
        const std::size_t channels = (gray ? 1 : 3) + (opaque ? 0 : 1);
        std::vector<std::uint8_t> line(static_cast<std::size_t>(picture.width()) * channels);
        const bool done = succeeds(png_, [&] {
            start(picture, options, gray, opaque);
            for (int y = 0; y < picture.height(); y++) {
                pack(picture.row(y), line.data(), picture.width(), gray, opaque);
                png_write_row(png_, line.data());
            }
            png_write_end(png_, nullptr);
        });
        if (!done) throw Error(500, std::string("PNG: ") + trouble_.message + ".");
        return std::move(data_);
    }

  private:
    void start(const Picture& picture, const Options& options, bool gray, bool opaque) {
        const int colour = (gray ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB) | (opaque ? 0 : PNG_COLOR_MASK_ALPHA);
        png_set_IHDR(png_, info_, static_cast<png_uint_32>(picture.width()), static_cast<png_uint_32>(picture.height()),
                     8, colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        if (!picture.profile.empty()) {
            png_set_iCCP(png_, info_, "icc", PNG_COMPRESSION_TYPE_BASE,
                         reinterpret_cast<png_const_bytep>(picture.profile.data()),
                         static_cast<png_uint_32>(picture.profile.size()));
        }
        png_set_compression_level(png_, std::max(1, 9 - options.speed.value_or(4)));
        png_write_info(png_, info_);
    }
    static void pack(const std::uint8_t* from, std::uint8_t* to, int width, bool gray, bool opaque) {
        for (int x = 0; x < width; x++, from += 4) {
            *to++ = from[2];
            if (!gray) {
                *to++ = from[1];
                *to++ = from[0];
            }
            if (!opaque) *to++ = from[3];
        }
    }
    static void write(png_structp png, png_bytep data, std::size_t length) {
        try {
            static_cast<Writer*>(png_get_io_ptr(png))->data_.append(reinterpret_cast<const char*>(data), length);
            return;
        } catch (const std::bad_alloc&) {
        }
        png_error(png, "there is not enough memory");
    }

    Trouble trouble_;
    std::string data_;
    png_structp png_;
    png_infop info_;
};

}  // namespace

Picture decode_png(std::string_view data, const Options& options) {
    Reader reader(data);
    reader.read_header();
    check_size(reader.width(), reader.height(), options);
    Picture picture(static_cast<int>(reader.width()), static_cast<int>(reader.height()));
    reader.read_pixels(picture);
    picture.orientation = reader.orientation();
    picture.profile = reader.profile();
    return picture;
}

std::string encode_png(const Picture& picture, const Options& options) { return Writer().write(picture, options); }

}  // namespace image
