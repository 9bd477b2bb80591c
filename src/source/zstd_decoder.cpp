#include <zstd.h>
#include <zstd_errors.h>

#include <bit>
#include <new>
#include <string>

#include "src/base/failure.hpp"
#include "src/source/decoder.hpp"

namespace tinykvm::host {

namespace {

struct ContextEnd {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdDecoder final : public Decoder {
  public:
    ZstdDecoder(std::span<const std::byte> packed, std::size_t max_memory)
        : context_(ZSTD_createDCtx()),
          window_log_(std::bit_width(max_memory) - 1),
          in_{packed.data(), packed.size(), 0} {
        if (!context_) {
            throw std::bad_alloc();
        }
        (void)require(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, window_log_));
    }

    std::size_t read(std::span<std::byte> room) override {
        ZSTD_outBuffer out{room.data(), room.size(), 0};
        while (out.pos < out.size && (in_.pos < in_.size || !frame_ended_)) {
            const std::size_t before = out.pos + in_.pos;
            frame_ended_ = require(ZSTD_decompressStream(context_.get(), &out, &in_)) == 0;
            if (!frame_ended_ && out.pos + in_.pos == before) {
                throw Failure(FailureKind::host_error, "the archive is damaged: it ends too early");
            }
        }
        return out.pos;
    }

  private:
    std::size_t require(std::size_t result) const {
        if (ZSTD_isError(result) == 0) {
            return result;
        }
        switch (ZSTD_getErrorCode(result)) {
            case ZSTD_error_memory_allocation: throw std::bad_alloc();
            case ZSTD_error_frameParameter_windowTooLarge:
                throw Failure(FailureKind::host_error, "the archive needs more than " +
                                                           std::to_string(std::size_t{1} << window_log_ >> 20) +
                                                           " MiB to be unpacked");
            default:
                throw Failure(FailureKind::host_error,
                              std::string("the archive is damaged: libzstd says ") + ZSTD_getErrorName(result));
        }
    }

    std::unique_ptr<ZSTD_DCtx, ContextEnd> context_;
    const int window_log_;
    ZSTD_inBuffer in_;
    bool frame_ended_ = false;
};

}  // namespace

std::unique_ptr<Decoder> zstd_decoder(std::span<const std::byte> packed, std::size_t max_memory) {
    return std::make_unique<ZstdDecoder>(packed, max_memory);
}

}  // namespace tinykvm::host
