#include <lzma.h>

#include <new>
#include <string>

#include "src/base/failure.hpp"
#include "src/source/decoder.hpp"

namespace tinykvm::host {

namespace {

class XzDecoder final : public Decoder {
  public:
    XzDecoder(std::span<const std::byte> packed, std::size_t max_memory) : max_memory_(max_memory) {
        require(lzma_stream_decoder(&stream_, max_memory, LZMA_CONCATENATED));
        stream_.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
        stream_.avail_in = packed.size();
    }
    ~XzDecoder() override { lzma_end(&stream_); }
    XzDecoder(const XzDecoder&) = delete;
    XzDecoder& operator=(const XzDecoder&) = delete;

    std::size_t read(std::span<std::byte> room) override {
        stream_.next_out = reinterpret_cast<std::uint8_t*>(room.data());
        stream_.avail_out = room.size();
        while (!ended_ && stream_.avail_out > 0) {
            const lzma_ret result = lzma_code(&stream_, LZMA_FINISH);
            ended_ = result == LZMA_STREAM_END;
            if (!ended_) {
                require(result);
            }
        }
        return room.size() - stream_.avail_out;
    }

  private:
    void require(lzma_ret result) const {
        switch (result) {
            case LZMA_OK: return;
            case LZMA_MEM_ERROR: throw std::bad_alloc();
            case LZMA_MEMLIMIT_ERROR:
                throw Failure(FailureKind::host_error,
                              "the archive needs " + std::to_string((lzma_memusage(&stream_) + 1048575) >> 20) +
                                  " MiB to be unpacked, more than " + std::to_string(max_memory_ >> 20));
            case LZMA_BUF_ERROR: throw Failure(FailureKind::host_error, "the archive is damaged: it ends too early");
            default:
                throw Failure(FailureKind::host_error,
                              "the archive is damaged: liblzma says " + std::to_string(static_cast<int>(result)));
        }
    }

    const std::size_t max_memory_;
    lzma_stream stream_ = LZMA_STREAM_INIT;
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<Decoder> xz_decoder(std::span<const std::byte> packed, std::size_t max_memory) {
    return std::make_unique<XzDecoder>(packed, max_memory);
}

}  // namespace tinykvm::host
