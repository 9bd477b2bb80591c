// What the operator can count. The names are those of the VSC counters.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tinykvm::host {

enum class Counter {
    program_notfound,
    program_exception,  // crashes, memory, no or invalid answers; those of second chances count, too
    program_timeout,
    exception_time,  // microseconds requests took before they failed in one of these ways
    program_status_2xx,
    program_status_3xx,
    program_status_4xx,
    program_status_5xx,
    requests,
    interrupted,   // requests that nobody wanted the answer of any more
    connections,   // requests that became a connection of another protocol (101)
    input_bytes,   // bodies of requests, and what came on such connections
    output_bytes,  // bodies of responses, and what went out on them
    boots,
    boots_failed,
    forks,           // request VMs made
    resets,          // request VMs made equal to their snapshot again
    pages_restored,  // by those resets
    exits,           // times request VMs left guest mode
    guest_faults,    // exceptions that request VMs' handlers saw
    kvm_calls,       // system calls on KVM for request VMs
    cpu_time,        // microseconds request VMs ran
    queue_wait,      // microseconds requests waited for a VM
    queue_timeouts,
    fetch_time,            // microseconds programs and chains waited for what they fetched
    self_requests,         // requests to Varnish itself that were asked for, with those that failed
    self_requests_failed,  // those without a response; this has to be the last counter
};
inline constexpr std::size_t counter_count = static_cast<std::size_t>(Counter::self_requests_failed) + 1;

// Called by any thread, at any time until the last service is gone.
class CounterSink {
  public:
    virtual void add(Counter counter, std::uint64_t amount) noexcept = 0;

  protected:
    ~CounterSink() = default;
};

// For work that is not counted.
struct NoCounters final : CounterSink {
    void add(Counter, std::uint64_t) noexcept override {}
};

}  // namespace tinykvm::host
