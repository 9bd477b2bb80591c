// How fast the body of a request comes. While it comes it holds a VM, so a client must not take its time.
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
    // What has been waited for as long as this must have come this fast, on the whole.
    static constexpr std::chrono::seconds patience{10};
    static constexpr std::size_t least_bytes_per_second = 1024;

    // The client is waited for from `now` on.
    explicit BodyPace(Clock::time_point now) : waiting_since_(now) {}

    // So much has come, and until go_on() the client waits for us.
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
