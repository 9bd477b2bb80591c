// How a program is asked for one request, by its protocol: with callbacks (ProgramCall), as a filter that reads its
// standard input and writes its standard output (FilterCall), or as an HTTP server (ServerCall). A conversation goes
// through the functions in this order.
//
// Thread safety: one thread at a time, that whose turn it is (src/vms/vm_life.hpp).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "src/calls/response.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

class ProtocolCall {
  public:
    // Takes everything of the request but the body. Throws Failure (too_large, host_error).
    virtual void begin() = 0;
    // How many more bytes of body the request may have.
    virtual std::size_t body_room() const = 0;
    // Takes some of the body, from the front of `data`. True: the program has to take a piece of it before there can be
    // more, and before what `data` was is gone. Throws Failure (too_large).
    virtual bool append_body(std::span<const std::byte>& data) = 0;
    // What has been taken so far is all that the program gets when it runs for the first time.
    virtual void start() = 0;
    // Runs the program for a piece of the body. Its answer, if it does not want the rest. Throws what a run throws.
    virtual std::optional<Response> give_piece(Deadline deadline) = 0;
    // The body has ended: runs the program until it answers. Throws what a run throws, and Failure without an answer.
    virtual Response expect_answer(Deadline deadline) = 0;
    // The body of that answer, when the host has it; else it is in the guest's memory.
    virtual std::optional<std::span<const std::byte>> host_body() const = 0;
    // Of an answer whose body comes in pieces that are on the host: runs the program for the next one, which stays
    // until this is called again. Empty at the end. Throws what a run throws. nullopt: the guest's memory has the
    // pieces, and ResponsePieces makes them.
    virtual std::optional<std::span<const std::byte>> make_response_piece(Deadline) { return std::nullopt; }

    // Has the program ended? Then there is nothing to go on with.
    virtual bool has_program_ended() const { return false; }

  protected:
    ~ProtocolCall() = default;  // nobody owns one as such
};

}  // namespace tinykvm::host
