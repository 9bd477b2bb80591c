// The body of an answer that the program makes in pieces: the one it made last, and where that is in the body.
//
// Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "src/calls/guest_calls.hpp"
#include "src/calls/response.hpp"
#include "src/vms/timed_fork.hpp"

namespace tinykvm::host {

class ResponsePieces {
  public:
    // A program whose requests may change `memory` bytes is not asked for pieces that take much of it.
    explicit ResponsePieces(std::size_t memory);

    // Has the guest to make another piece before there is something at `offset`?
    bool needs_next(const Response& response, std::size_t offset) const;
    // What make_next() is to make.
    void request_next(const Response& response);
    // Calls the guest for it. Throws what a run throws, or Failure (invalid_answer).
    void make_next(TimedFork& guest, GuestCalls& calls, Deadline deadline);
    // The piece was made, and is on the host.
    void take(std::span<const std::byte> piece);
    // Was the piece that was made last the end of the body?
    bool is_complete() const;
    // Bytes of it.
    std::size_t piece_size() const { return response_piece_.size; }
    // What there is from `offset` on; empty when that is not in the piece that was made last. Throws Failure
    // (invalid_answer).
    std::span<const std::byte> readable(GuestMemory& memory, std::size_t offset) const;

  private:
    struct Piece {
        std::size_t offset = 0, size = 0;  // bytes, in the body
        GuestAddr address = 0;
        std::optional<std::span<const std::byte>> on_host;  // instead of at `address`
    };
    struct PieceRequest {
        Response::Stream stream;
        std::size_t most = 0;       // bytes of the next piece
        std::size_t body_size = 0;  // bytes, or unknown
    };
    std::size_t end() const { return response_piece_.offset + response_piece_.size; }

    const std::size_t largest_piece_;  // bytes
    Piece response_piece_;
    PieceRequest piece_request_;
};

}  // namespace tinykvm::host
