// The body of a request as it came, kept for a second chance when the program fails (`on_error`).
//
// Thread safety: a plain value; one thread at a time.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tinykvm::host {

class KeptBody {
  public:
    // Keeps at most `limit` bytes, in `buffer`. That of an earlier request is as good as a new one, and has its memory
    // already. A limit of 0 keeps nothing.
    KeptBody(std::size_t limit, std::vector<std::byte> buffer);

    // False: with this the body is longer than the limit, and nothing of it is kept from now on; later calls return
    // true.
    bool append(std::span<const std::byte> data);
    bool empty() const { return bytes_.empty(); }
    std::span<const std::byte> bytes() const { return bytes_; }
    // The buffer, for another request; empty when it is too large to be kept by a VM that waits.
    std::vector<std::byte> take_buffer();

  private:
    std::size_t limit_;  // bytes; 0: keeps nothing (any more)
    std::vector<std::byte> bytes_;
};

}  // namespace tinykvm::host
