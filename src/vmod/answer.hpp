// What a program answered, and where the body is: in the memory of its VM, which is kept for that long, or in ours.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "src/calls/response.hpp"
#include "src/vmod/log.hpp"
#include "src/vms/pool.hpp"

namespace tinykvm::vmod {

class Answer {
  public:
    // `program` is the name of the one that answered.
    Answer(std::string program, host::Lease lease, host::Response response);
    // An answer of no VM, with its body.
    Answer(std::string program, host::Response response, std::string body);

    const std::string& program() const { return program_; }
    host::Response& response() { return response_; }
    const host::Response& response() const { return response_; }

    // The body from `offset` on, as much as is contiguous; empty at its end. Runs the program when it makes the body in
    // pieces, which can then be had only once and in order. Throws host::Failure.
    std::span<const std::byte> body(std::size_t offset);
    // Hands the whole body to `take`, piece by piece.
    template <typename Take>
    void for_each_piece(Take take);

    bool holds_vm() const { return static_cast<bool>(lease_); }
    // Copies the body out of the VM and gives that back; the size is known then. Throws host::Failure (too_large) when
    // it has more than `most` bytes. What the program said while it made it goes to `log`.
    void detach(const Log& log, std::size_t most);
    // The body is not needed any more; `log` as before.
    void drop_body(const Log& log);

  private:
    void give_back(const Log& log);

    std::string program_;
    host::Lease lease_;
    host::Response response_;
    std::string own_body_;  // the body, unless there is a VM
};

template <typename Take>
void Answer::for_each_piece(Take take) {
    std::size_t offset = 0;
    for (std::span<const std::byte> piece = body(0); !piece.empty(); piece = body(offset)) {
        take(piece);
        offset += piece.size();
    }
}

}  // namespace tinykvm::vmod
