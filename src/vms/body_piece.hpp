// A piece of a request's body on its way into a guest that reads it from a descriptor. What comes in small parts is
// joined, because each time that the guest has to wait for more costs an entry into it; a large part is not copied: the
// guest reads it from where the caller has it.
//
// Thread safety: a plain value.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tinykvm::host {

// Bodies of requests that a program takes in pieces have pieces of so many bytes: entering a guest takes 10 to 100 us,
// copying so much about as long.
inline constexpr std::size_t request_piece_size = std::size_t{256} << 10;

class BodyPiece {
  public:
    // Bytes that are borrowed at most, so that keeping the rest of them is bounded.
    static constexpr std::size_t largest_loan = std::size_t{1} << 20;

    // Takes more, from the front of `data`. True: it is full, and has to be given to the guest before `data` is gone.
    bool append(std::span<const std::byte>& data);
    // Takes all of it, however much that is.
    void append_copy(std::span<const std::byte> data);
    std::span<const std::byte> bytes() const { return loan_.empty() ? std::span<const std::byte>(own_) : loan_; }
    // What is borrowed is copied.
    void end_loan();
    void clear();

  private:
    std::vector<std::byte> own_;
    std::span<const std::byte> loan_;  // instead of it
};

}  // namespace tinykvm::host
