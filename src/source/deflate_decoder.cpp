#include <isa-l/igzip_lib.h>

#include "src/base/failure.hpp"
#include "src/source/decoder.hpp"

namespace tinykvm::host {

namespace {

class DeflateDecoder final : public Decoder {
  public:
    explicit DeflateDecoder(std::span<const std::byte> packed) {
        isal_inflate_init(&state_);
        // The decoder only reads there, although its pointer is not one to const.
        state_.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(packed.data()));
        state_.avail_in = static_cast<std::uint32_t>(packed.size());
    }

    std::size_t read(std::span<std::byte> room) override {
        state_.next_out = reinterpret_cast<std::uint8_t*>(room.data());
        state_.avail_out = static_cast<std::uint32_t>(room.size());
        while (state_.avail_out > 0 && state_.block_state != ISAL_BLOCK_FINISH) {
            const std::uint32_t in_before = state_.avail_in, out_before = state_.avail_out;
            const int result = isal_inflate(&state_);
            if (result < 0) {
                throw Failure(FailureKind::host_error, "the archive is damaged: a member cannot be unpacked");
            }
            const bool progress = state_.avail_in != in_before || state_.avail_out != out_before;
            if (!progress && state_.block_state != ISAL_BLOCK_FINISH) {
                throw Failure(FailureKind::host_error, "the archive is damaged: a member ends too early");
            }
        }
        return room.size() - state_.avail_out;
    }

  private:
    struct inflate_state state_;
};

}  // namespace

std::unique_ptr<Decoder> deflate_decoder(std::span<const std::byte> packed) {
    return std::make_unique<DeflateDecoder>(packed);
}

}  // namespace tinykvm::host
