// SPDX-License-Identifier: BSD-2-Clause
// Brotli (RFC 7932), by its own library.
#include <brotli/decode.h>
#include <brotli/encode.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "codec.hpp"

namespace compress {
namespace {

const std::uint8_t* bytes(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

struct Free {
    void operator()(BrotliDecoderState* decoder) const { BrotliDecoderDestroyInstance(decoder); }
};

class Brotli : public Codec {
  public:
    int usual_level() const override { return 5; }

    std::string compress(std::string_view plain, int level) override {
        std::string result(BrotliEncoderMaxCompressedSize(plain.size()), '\0');
        std::size_t size = result.size();
        if (BrotliEncoderCompress(std::min(level, BROTLI_MAX_QUALITY), BROTLI_DEFAULT_WINDOW, BROTLI_DEFAULT_MODE,
                                  plain.size(), bytes(plain), &size,
                                  reinterpret_cast<std::uint8_t*>(result.data())) == BROTLI_FALSE) {
            throw std::bad_alloc();
        }
        result.resize(size);
        return result;
    }

    std::string decompress(std::string_view packed, std::size_t most) override {
        const std::unique_ptr<BrotliDecoderState, Free> decoder(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr));
        if (!decoder) throw std::bad_alloc();
        std::string result;
        std::size_t left = packed.size(), room = 0, used = 0;
        const std::uint8_t* in = bytes(packed);
        for (;;) {
            auto* out = reinterpret_cast<std::uint8_t*>(result.data()) + used;
            const BrotliDecoderResult status =
                BrotliDecoderDecompressStream(decoder.get(), &left, &in, &room, &out, nullptr);
            used = result.size() - room;
            if (status == BROTLI_DECODER_RESULT_SUCCESS) break;
            if (status != BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) broken(Encoding::brotli);
            grow(result, packed.size() * 4, most);
            room = result.size() - used;
        }
        if (left != 0) more_behind(Encoding::brotli);
        result.resize(used);
        if (used > most) grow(result, 0, most);
        return result;
    }
};

}  // namespace

std::unique_ptr<Codec> make_brotli() { return std::make_unique<Brotli>(); }

}  // namespace compress
