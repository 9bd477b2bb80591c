// The socket of a client whose connection vcl_pipe has given to a program. Nothing waits here but wait(), write_all()
// and linger(), which have an end.
//
// Thread safety: one thread at a time, but for looks_gone(). Borrows the descriptor, which is the session's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tinykvm/types.hpp"

namespace tinykvm::vmod {

class ClientSocket {
  public:
    // `early` is what Varnish has read already, beyond the request; borrowed.
    ClientSocket(int descriptor, std::span<const std::byte> early) : descriptor_(descriptor), early_(early) {}
    ClientSocket(const ClientSocket&) = delete;
    ClientSocket& operator=(const ClientSocket&) = delete;

    // Reads what there is, as much as fits, and returns how much that is.
    std::size_t read(std::span<std::byte> into);
    // Writes as much as the client takes now, and returns how much that is.
    std::size_t write(std::span<const std::byte> data);
    // Writes all of it. False when the client is gone, or takes nothing for so long.
    bool write_all(std::span<const std::byte> data, std::chrono::microseconds patience);
    // Waits until there is something to read or room to write, as asked for, or until that moment.
    void wait(bool for_input, bool for_room, Deadline until);
    // Sends no more, and gives the client a moment to take what it was sent: what it sends now must not make the kernel
    // drop that.
    void linger();

    bool has_ended() const { return has_ended_; }  // it sends no more
    bool is_gone() const { return is_gone_; }      // nor does it take anything
    // Would the next call find that it is gone? Any thread.
    bool looks_gone() const;
    // Bytes.
    std::uint64_t received() const { return received_; }
    std::uint64_t sent() const { return sent_; }

  private:
    const int descriptor_;
    std::span<const std::byte> early_;
    bool has_ended_ = false, is_gone_ = false;
    std::uint64_t received_ = 0, sent_ = 0;
};

}  // namespace tinykvm::vmod
