// Lays a request out in the memory of a fork, so that the program finds all of it there without a single call.
//
//   request area:  kvm_request | header array | strings, zero-terminated | body ...
//
// The body may come in pieces of unknown total length. Everything is bounded by the area, which is as large as
// max_request_memory.
//
// Thread safety: one thread at a time, while the guest stands still. Borrows its memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "src/calls/guest_abi.hpp"
#include "src/calls/request.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/run.hpp"

namespace tinykvm::host {

// Where a request is in guest memory, and what of its body is there.
struct LaidOutRequest {
    abi::Request fields;
    GuestAddr address = 0;        // of the fields, as the guest sees them
    std::size_t body_offset = 0;  // bytes of the body before the piece that is there
};

class RequestLayout {
  public:
    // Starts over at the beginning of `area` with everything but the body. Failure (too_large) when a part does not
    // fit.
    void begin(GuestMemory& memory, const RequestArea& area, const Request& request);
    // How much more body there is room for.
    std::size_t room() const { return end_ - cursor_; }
    void append_body(std::span<const std::byte> data);
    // What is appended next takes the place of the body so far, which was a piece of a longer one.
    void next_body_piece();
    // The program has taken so much of this piece; the rest becomes a piece of its own.
    void skip_body(std::size_t size);
    // How many bytes of the body there were before this piece.
    std::size_t body_offset() const { return body_offset_; }
    // Writes everything but the body, with fresh random bits. No body may be appended afterwards.
    void finish();

    // Adds a string after everything else: the text for the error handler.
    GuestAddr add_string(std::string_view text);

    const abi::Request& request() const { return request_; }
    GuestAddr request_address() const { return begin_; }
    LaidOutRequest laid_out() const { return {request_, begin_, body_offset_}; }

  private:
    void write(GuestAddr to, const void* from, std::size_t size);
    void take(std::size_t size);
    GuestAddr head_string(std::string_view text);
    std::uint64_t random_word();
    std::uint16_t short_length(std::string_view text, const char* what) const;

    GuestMemory* memory_ = nullptr;
    GuestAddr begin_ = 0, body_begin_ = 0, cursor_ = 0, end_ = 0;
    std::size_t body_offset_ = 0;
    abi::Request request_;
    std::vector<std::byte> head_;                   // everything but the body, as it will be at begin_
    std::array<std::uint64_t, 64> random_words_{};  // fetched together; each is used once
    std::size_t random_words_left_ = 0;
};

}  // namespace tinykvm::host
