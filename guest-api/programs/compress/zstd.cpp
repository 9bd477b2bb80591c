// SPDX-License-Identifier: BSD-2-Clause
// zstd (RFC 8878), by its own library.
#include <zstd.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "codec.hpp"

namespace compress {
namespace {

// Those above have windows of more than 8 MiB, which no client need take (RFC 9659).
constexpr int highest_level = 19;

class Zstd : public Codec {
  public:
    int usual_level() const override { return 3; }

    std::string compress(std::string_view plain, int level) override {
        std::string result(ZSTD_compressBound(plain.size()), '\0');
        const std::size_t size = ZSTD_compressCCtx(compressor_.get(), result.data(), result.size(), plain.data(),
                                                   plain.size(), std::min(level, highest_level));
        // There is room enough, so nothing but memory can be missing.
        if (ZSTD_isError(size) != 0) throw std::bad_alloc();
        result.resize(size);
        return result;
    }

    std::string decompress(std::string_view packed, std::size_t most) override {
        ZSTD_DCtx_reset(decompressor_.get(), ZSTD_reset_session_only);
        std::string result;
        ZSTD_inBuffer in{packed.data(), packed.size(), 0};
        ZSTD_outBuffer out{nullptr, 0, 0};
        // Zero between the frames, of which there may be several.
        std::size_t left = 1;
        while (in.pos < in.size || left != 0) {
            const std::size_t before = in.pos + out.pos;
            left = ZSTD_decompressStream(decompressor_.get(), &out, &in);
            if (ZSTD_isError(left) != 0) broken(Encoding::zstd);
            if (in.pos + out.pos != before) continue;
            if (out.pos < out.size) broken(Encoding::zstd);
            grow(result, size_said(packed), most);
            out.dst = result.data();
            out.size = result.size();
        }
        result.resize(out.pos);
        if (out.pos > most) grow(result, 0, most);
        return result;
    }

  private:
    struct Free {
        void operator()(ZSTD_CCtx* compressor) const { ZSTD_freeCCtx(compressor); }
        void operator()(ZSTD_DCtx* decompressor) const { ZSTD_freeDCtx(decompressor); }
    };

    // By the first frame, if it says it; else a guess.
    static std::size_t size_said(std::string_view packed) {
        const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), packed.size());
        const bool is_known = size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR;
        return is_known ? size : packed.size() * 4;
    }

    std::unique_ptr<ZSTD_CCtx, Free> compressor_{ZSTD_createCCtx()};
    std::unique_ptr<ZSTD_DCtx, Free> decompressor_{ZSTD_createDCtx()};
};

}  // namespace

std::unique_ptr<Codec> make_zstd() { return std::make_unique<Zstd>(); }

}  // namespace compress
