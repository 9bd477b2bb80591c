#include "src/vmod/answer.hpp"

#include <algorithm>
#include <utility>

#include "src/base/failure.hpp"

namespace tinykvm::vmod {

Answer::Answer(std::string program, host::Lease lease, host::Response response)
    : program_(std::move(program)), lease_(std::move(lease)), response_(std::move(response)) {}

Answer::Answer(std::string program, host::Response response, std::string body)
    : program_(std::move(program)), response_(std::move(response)), own_body_(std::move(body)) {
    response_.body_size = own_body_.size();
}

std::span<const std::byte> Answer::body(std::size_t offset) {
    if (!lease_) {
        return std::as_bytes(std::span(own_body_)).subspan(std::min(offset, own_body_.size()));
    }
    try {
        return lease_->body(response_, offset);
    } catch (const host::Failure& failure) {
        throw host::Failure(failure.kind(), "the body of " + program_ + "'s response: " + failure.what(),
                            failure.report());
    }
}

void Answer::detach(const Log& log, std::size_t most) {
    if (!lease_) {
        return;
    }
    if (!response_.stream) {
        own_body_.reserve(std::min(response_.body_size, most));
    }
    for_each_piece([&](std::span<const std::byte> piece) {
        if (piece.size() > most - own_body_.size()) {
            throw host::Failure(host::FailureKind::too_large, "the body of " + program_ + "'s response has more than " +
                                                                  std::to_string(most) + " bytes");
        }
        own_body_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    response_.stream.reset();
    response_.body_size = own_body_.size();
    give_back(log);
}

void Answer::drop_body(const Log& log) {
    give_back(log);
    own_body_ = {};
}

void Answer::give_back(const Log& log) {
    if (lease_) {
        log.lines(program_, lease_->take_log());
    }
    lease_.give_back();
}

}  // namespace tinykvm::vmod
