// What running a guest cost, in counts: the same on every machine, unlike times.
#pragma once

#include <cstdint>

namespace tinykvm {

struct Statistics {
    std::uint64_t exits = 0;             // returns from KVM_RUN to this process
    std::uint64_t system_calls = 0;      // system calls the guest made
    std::uint64_t host_calls = 0;        // calls to HostCalls
    std::uint64_t guest_faults = 0;      // exceptions that reached the guest's handlers
    std::uint64_t kvm_calls = 0;         // ioctls this process made for the guest, KVM_RUN included
    std::uint64_t further_cpu_time = 0;  // nanoseconds that threads of further CPUs ran (Options::cpus)
    std::uint64_t pages_dirtied = 0;     // pages that were the VM's own when the last request ended
    std::uint64_t memory_peak = 0;       // bytes: the most that was changed or added at a time before a reset
    std::uint64_t pages_restored = 0;    // pages all resets made equal to the snapshot again
    std::uint64_t resets = 0;
    std::uint64_t rebuilds = 0;  // resets that had to build a new VM
};

}  // namespace tinykvm
