// SPDX-License-Identifier: BSD-2-Clause
// gzip (RFC 1952) and what HTTP calls deflate (zlib's format, RFC 1950), by libdeflate.
#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "codec.hpp"

namespace compress {
namespace {

constexpr int highest_level = 12;
// So many bytes are in one that is compressed, at most.
constexpr std::size_t highest_ratio = 1032;

// A format around the same compressed data, as the library's functions for it.
struct Format {
    Encoding encoding;
    decltype(&libdeflate_gzip_compress) pack;
    decltype(&libdeflate_gzip_compress_bound) bound;
    decltype(&libdeflate_gzip_decompress_ex) unpack;
};

constexpr Format gzip{Encoding::gzip, libdeflate_gzip_compress, libdeflate_gzip_compress_bound,
                      libdeflate_gzip_decompress_ex};
constexpr Format zlib{Encoding::deflate, libdeflate_zlib_compress, libdeflate_zlib_compress_bound,
                      libdeflate_zlib_decompress_ex};

std::uint8_t byte_at(std::string_view text, std::size_t at) { return static_cast<std::uint8_t>(text[at]); }

// Some servers send bare compressed data as deflate, and browsers take that. The header of zlib is a multiple of 31.
bool is_bare(std::string_view packed) {
    return packed.size() < 2 || (byte_at(packed, 0) & 15) != 8 ||
           (byte_at(packed, 0) * 256 + byte_at(packed, 1)) % 31 != 0;
}

// What the end of a gzip file says of its size, if that can be; else a guess.
std::size_t size_said(std::string_view packed, Encoding encoding) {
    std::size_t size = packed.size() * 4;
    if (encoding == Encoding::gzip && packed.size() >= 4) {
        size = 0;
        for (std::size_t i = 1; i <= 4; i++) size = size << 8 | byte_at(packed, packed.size() - i);
    }
    return std::min(size, packed.size() * highest_ratio);
}

class Deflate : public Codec {
  public:
    explicit Deflate(const Format& format) : format_(&format) {}

    int usual_level() const override { return 6; }

    std::string compress(std::string_view plain, int level) override {
        prepare(std::min(level, highest_level));
        std::string result(format_->bound(compressor_.get(), plain.size()), '\0');
        result.resize(format_->pack(compressor_.get(), plain.data(), plain.size(), result.data(), result.size()));
        return result;
    }

    std::string decompress(std::string_view packed, std::size_t most) override {
        const auto unpack = format_ == &zlib && is_bare(packed) ? libdeflate_deflate_decompress_ex : format_->unpack;
        const std::size_t first_room = size_said(packed, format_->encoding);
        std::string result;
        std::size_t used = 0;
        for (;;) {
            std::size_t taken = 0, given = 0;
            const libdeflate_result status = unpack(decompressor_.get(), packed.data(), packed.size(),
                                                    result.data() + used, result.size() - used, &taken, &given);
            if (status == LIBDEFLATE_INSUFFICIENT_SPACE) {
                grow(result, first_room, most);
                continue;
            }
            if (status != LIBDEFLATE_SUCCESS) broken(format_->encoding);
            used += given;
            packed.remove_prefix(taken);
            // A gzip file may have several parts, and zeros after them.
            if (format_ != &gzip || packed.empty() || packed.front() == '\0') break;
        }
        if (packed.find_first_not_of('\0') != packed.npos) more_behind(format_->encoding);
        result.resize(used);
        if (used > most) grow(result, first_room, most);
        return result;
    }

  private:
    struct Free {
        void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
        void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
    };

    void prepare(int level) {
        if (compressor_ && level == level_) return;
        compressor_.reset(libdeflate_alloc_compressor(level));
        if (!compressor_) throw std::bad_alloc();
        level_ = level;
    }

    const Format* format_;
    int level_ = 0;
    std::unique_ptr<libdeflate_compressor, Free> compressor_;
    std::unique_ptr<libdeflate_decompressor, Free> decompressor_{libdeflate_alloc_decompressor()};
};

}  // namespace

std::unique_ptr<Codec> make_gzip() { return std::make_unique<Deflate>(gzip); }
std::unique_ptr<Codec> make_deflate() { return std::make_unique<Deflate>(zlib); }

}  // namespace compress
