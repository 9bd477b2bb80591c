// Waiting on behalf of a guest: never past the deadline, and ended by an interrupt.
//
// Thread safety: one thread. Errors: Timeout, named after what the guest was waiting in.
#pragma once

#include <atomic>
#include <optional>

#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// What the host's standard input is ready for now (poll.h); 0: nothing.
short host_input_events();

class Waiter {
  public:
    Waiter(Deadline deadline, const std::atomic<bool>* interrupted) : deadline_(deadline), interrupted_(interrupted) {}

    // For loops over lengths a guest chose: throws Timeout when the deadline has passed.
    void check() const;
    // Waits until a descriptor of the host has one of `events` (poll.h); -1: only waits. Returns the events, 0 at
    // `until`, at once when that has passed.
    short wait_for_host(int host_fd, short events, std::optional<Clock::time_point> until) const;

  private:
    Deadline deadline_;
    const std::atomic<bool>* interrupted_;
};

}  // namespace tinykvm::linux_abi
