// Waiting on behalf of a guest. A wait never goes past the deadline, and an interrupt ends it.
//
// Thread safety: one thread. Errors: Timeout and Interrupted.
#pragma once

#include <atomic>
#include <optional>

#include "tinykvm/types.hpp"

namespace tinykvm {

struct Options;

namespace linux_abi {

// The events (poll.h) that standard input is ready for now; 0 when there are none.
short input_events(const Options& options);
// Client::changes() of the client there is; 0 without one.
std::uint64_t client_changes(const Options& options);
// Can standard input be read, or has the client changed something since it had changed that often?
bool has_caller_changed(const Options& options, std::uint64_t client_seen);

class Waiter {
  public:
    Waiter(Deadline deadline, const std::atomic<bool>* interrupted) : deadline_(deadline), interrupted_(interrupted) {}

    // For loops over lengths that a guest chose: throws Timeout when the deadline has passed, Interrupted when the run
    // is to end earlier.
    void check() const;
    // Waits until a descriptor of the host has one of `events` (poll.h), or until the moment `until`. With descriptor
    // -1 it only waits for that moment. Returns the events; 0 when the moment has come. Throws as check() does.
    short wait_for_host(int host_fd, short events, std::optional<Clock::time_point> until) const;

  private:
    Deadline deadline_;
    const std::atomic<bool>* interrupted_;
};

}  // namespace linux_abi
}  // namespace tinykvm
