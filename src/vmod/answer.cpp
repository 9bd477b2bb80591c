#include "src/vmod/answer.hpp"

#include <algorithm>
#include <utility>

#include "src/base/failure.hpp"

namespace tinykvm::vmod {

Answer::Answer(std::string program, host::Lease lease, host::Response response)
    : program_(std::move(program)), lease_(std::move(lease)), response_(std::move(response)) {}

Answer::Answer(std::string program, host::Response response, std::string body)
    : program_(std::move(program)), response_(std::move(response)), outside_(std::move(body)) {
    response_.body_size = outside_.size();
}

std::span<const std::byte> Answer::body(std::size_t offset) {
    if (!lease_) {
        return std::as_bytes(std::span(outside_)).subspan(std::min(offset, outside_.size()));
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
        outside_.reserve(std::min(response_.body_size, most));
    }
    for_each_piece([&](std::span<const std::byte> piece) {
        if (piece.size() > most - outside_.size()) {
            throw host::Failure(host::FailureKind::too_large, "the body of " + program_ + "'s response has more than " +
                                                                  std::to_string(most) + " bytes");
        }
        outside_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    response_.stream.reset();
    response_.body_size = outside_.size();
    give_back(log);
}

void Answer::drop_body(const Log& log) {
    give_back(log);
    outside_ = {};
}

void Answer::give_back(const Log& log) {
    if (lease_) {
        log.lines(program_, lease_->take_log());
    }
    lease_.give_back();
}

}  // namespace tinykvm::vmod
