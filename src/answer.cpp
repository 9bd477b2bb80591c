#include "src/answer.hpp"

#include <stdexcept>
#include <utility>

namespace tinykvm::vmod {

Answer::Answer(api::Lease lease, api::Response response)
    : lease_(std::move(lease)), response_(std::move(response)) {}

std::span<const std::byte> Answer::body(std::size_t offset) const {
    if (offset >= response_.body_size) {
        return {};
    }
    const std::span<const std::byte> piece =
        lease_ ? lease_->body(response_, offset) : std::span(detached_).subspan(std::min(offset, detached_.size()));
    if (piece.empty()) {
        throw std::runtime_error("the body of the response is not readable any more");
    }
    return piece;
}

void Answer::detach() {
    if (!lease_) {
        return;
    }
    detached_.reserve(response_.body_size);
    for_each_piece([this](std::span<const std::byte> piece) {
        detached_.insert(detached_.end(), piece.begin(), piece.end());
    });
    lease_.give_back();
}

void Answer::drop_body() {
    lease_.give_back();
    detached_ = {};
}

}  // namespace tinykvm::vmod
