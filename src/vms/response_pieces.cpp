#include "src/vms/response_pieces.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "src/base/failure.hpp"

namespace tinykvm::host {

namespace {

// Entering a guest takes 10 to 100 us, copying so much about as long.
constexpr std::size_t first_piece = std::size_t{256} << 10;
// More at a time is not worth the memory.
constexpr std::size_t largest_piece = std::size_t{1} << 20;

}  // namespace

ResponsePieces::ResponsePieces(std::size_t memory)
    : largest_piece_(std::clamp(memory / 16, first_piece, largest_piece)) {}

bool ResponsePieces::needs_next(const Response& response, std::size_t offset) const {
    return offset == end() && offset < response.body_size;
}

// The client is not to wait long for the beginning; the longer a body turns out to be, the larger its pieces.
void ResponsePieces::request_next(const Response& response) {
    const std::size_t most = std::clamp(end(), first_piece, largest_piece_);
    piece_request_ = {*response.stream, std::min(response.body_size - end(), most), response.body_size};
}

// The function returns struct { const void* data; ssize_t len; } in registers.
void ResponsePieces::make_next(TimedFork& guest, GuestCalls& calls, Deadline deadline) {
    const std::size_t done = end();
    const auto& [stream, most, body_size] = piece_request_;
    const std::array<std::uint64_t, 4> arguments = {stream.argument, most, done, body_size};
    calls.begin_streaming();
    const Stop stop = guest.call_on_top(stream.function, arguments, calls, deadline);
    if (stop.reason != Stop::Reason::returned) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback did not return");
    }
    const auto [address, length] = stop.values;
    if (length > most) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback returned " +
                                                       std::to_string(static_cast<std::int64_t>(length)) +
                                                       " bytes when it was asked for at most " + std::to_string(most));
    }
    if (length == 0 && body_size != Response::unknown_size) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback ended after " + std::to_string(done) +
                                                       " of " + std::to_string(body_size) + " bytes");
    }
    response_piece_ = {done, length, address, std::nullopt};
}

void ResponsePieces::take(std::span<const std::byte> piece) { response_piece_ = {end(), piece.size(), 0, piece}; }

bool ResponsePieces::is_complete() const { return response_piece_.size == 0 || end() == piece_request_.body_size; }

std::span<const std::byte> ResponsePieces::readable(GuestMemory& memory, std::size_t offset) const {
    const std::size_t begin = offset - response_piece_.offset;  // huge when it is before the piece
    if (begin >= response_piece_.size) {
        return {};
    }
    if (response_piece_.on_host) {
        return response_piece_.on_host->subspan(begin);
    }
    const auto piece = memory.readable(response_piece_.address + begin, response_piece_.size - begin);
    if (piece.empty()) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback: its data is not readable");
    }
    return piece;
}

}  // namespace tinykvm::host
