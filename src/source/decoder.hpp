// Unpacking compressed bytes that are in memory, piece by piece, so that what they unpack to need not fit anywhere.
//
// Thread safety: one thread at a time per decoder.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace tinykvm::host {

class Decoder {
  public:
    virtual ~Decoder() = default;

    // Reads the next bytes. Fewer than there is room for are the last ones. Throws Failure (host_error): "the archive
    // ..." and what is wrong with it.
    virtual std::size_t read(std::span<std::byte> room) = 0;
};

// `packed` outlives the decoder. Data that needs more than `max_memory` bytes to be unpacked (dictionary, window) is
// refused before any memory is taken.
std::unique_ptr<Decoder> xz_decoder(std::span<const std::byte> packed, std::size_t max_memory);
std::unique_ptr<Decoder> zstd_decoder(std::span<const std::byte> packed, std::size_t max_memory);
// For deflated data without a header, as in a zip. It takes 0.1 MiB.
std::unique_ptr<Decoder> deflate_decoder(std::span<const std::byte> packed);

}  // namespace tinykvm::host
