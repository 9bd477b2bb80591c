// What a program answered, and where the body is: in the memory of its VM, which is kept for that long, or in ours.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "api/pool.hpp"
#include "api/response.hpp"

namespace tinykvm::vmod {

class Answer {
  public:
    Answer(api::Lease lease, api::Response response);
    // Not of a VM.
    Answer(api::Response response, std::string body);

    api::Response& response() { return response_; }
    const api::Response& response() const { return response_; }

    // The body from `offset` on, as much as is contiguous; empty at its end. Throws std::runtime_error when it is not
    // there any more.
    std::span<const std::byte> body(std::size_t offset) const;
    // Hands the whole body to `take`, piece by piece.
    template <typename Take>
    void for_each_piece(Take take) const;

    bool holds_vm() const { return static_cast<bool>(lease_); }
    // Copies the body out of the VM and gives that back.
    void detach();
    // The body is not needed any more.
    void drop_body();

  private:
    api::Lease lease_;
    api::Response response_;
    std::string outside_;  // the body, unless there is a VM
};

template <typename Take>
void Answer::for_each_piece(Take take) const {
    for (std::size_t offset = 0; offset < response_.body_size;) {
        const std::span<const std::byte> piece = body(offset);
        take(piece);
        offset += piece.size();
    }
}

}  // namespace tinykvm::vmod
