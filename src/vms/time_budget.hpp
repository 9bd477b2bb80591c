// The time that the guest may run for one request. It counts only while the guest runs, not while a client is slow.
//
// Thread safety: a plain value; one thread at a time.
#pragma once

#include <chrono>

#include "tinykvm/types.hpp"

namespace tinykvm::host {

class TimeBudget {
  public:
    explicit TimeBudget(std::chrono::microseconds allowed) : allowed_(allowed), left_(allowed) {}

    // When the time is up for a guest that has been running since `begin`.
    Deadline deadline(Clock::time_point begin = Clock::now()) const { return begin + left_; }
    // The guest has run for so long. What is left may be less than nothing: guests are stopped a little late.
    void spend(Clock::duration time) { left_ -= std::chrono::duration_cast<std::chrono::microseconds>(time); }
    std::chrono::microseconds spent() const { return allowed_ - left_; }

  private:
    std::chrono::microseconds allowed_, left_;
};

}  // namespace tinykvm::host
