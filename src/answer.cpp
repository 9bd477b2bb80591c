#include "src/answer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tinykvm::vmod {

Answer::Answer(api::Lease lease, api::Response response)
    : lease_(std::move(lease)), response_(std::move(response)) {}

Answer::Answer(api::Response response, std::string body)
    : response_(std::move(response)), outside_(std::move(body)) {
    response_.body_size = outside_.size();
}

std::span<const std::byte> Answer::body(std::size_t offset) const {
    if (offset >= response_.body_size) {
        return {};
    }
    const std::span<const std::byte> piece =
        lease_ ? lease_->body(response_, offset)
               : std::as_bytes(std::span(outside_)).subspan(std::min(offset, outside_.size()));
    if (piece.empty()) {
        throw std::runtime_error("the body of the response is not readable any more");
    }
    return piece;
}

void Answer::detach() {
    if (!lease_) {
        return;
    }
    outside_.reserve(response_.body_size);
    for_each_piece([this](std::span<const std::byte> piece) {
        outside_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    lease_.give_back();
}

void Answer::drop_body() {
    lease_.give_back();
    outside_ = {};
}

}  // namespace tinykvm::vmod
