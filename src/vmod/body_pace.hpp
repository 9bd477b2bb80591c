// How fast a client sends the body of its request. The request holds a VM meanwhile, so one whose body comes too slowly
// is ended.
//
// One for each request with a body; the owner is what reads the body (request_body.cpp).
//
// Thread safety: any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "src/base/failure.hpp"
#include "tinykvm/os/mutex.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

class BodyPace {
  public:
    // When a body was waited for longer than this, all of it so far must have come at least this fast.
    static constexpr std::chrono::seconds patience{10};
    static constexpr std::size_t least_bytes_per_second = 1024;

    // The client is waited for from `now` on.
    explicit BodyPace(Clock::time_point now) : waiting_since_(now) {}

    // So many bytes have come. From now on it is the client that waits for us, until go_on().
    void arrived(std::size_t bytes, Clock::time_point now);
    void go_on(Clock::time_point now);

    bool is_too_slow(Clock::time_point now) const;
    // Says how slow it was.
    Failure failure(Clock::time_point now) const;

  private:
    Clock::duration waited(Clock::time_point now) const TINYKVM_REQUIRES(mutex_);

    mutable Mutex mutex_;
    std::size_t bytes_ TINYKVM_GUARDED_BY(mutex_) = 0;
    Clock::duration waited_ TINYKVM_GUARDED_BY(mutex_){0};
    std::optional<Clock::time_point> waiting_since_ TINYKVM_GUARDED_BY(mutex_);
};

}  // namespace tinykvm::host
