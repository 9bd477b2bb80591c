// The CPU time of the calling thread, counted.
//
// Thread safety: any thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "src/vms/program_statistics.hpp"
#include "tinykvm/os/thread_time.hpp"

namespace tinykvm::host {

inline std::uint64_t thread_microseconds() {
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(thread_time());
    return static_cast<std::uint64_t>(time.count());
}

// Counts what the thread that has this object uses while it lives. Borrows the statistics.
class CountedCpuTime {
  public:
    explicit CountedCpuTime(MachineStatistics& statistics) : statistics_(statistics) {}
    ~CountedCpuTime() { statistics_.add(Counter::cpu_time, thread_microseconds() - begin_); }
    CountedCpuTime(const CountedCpuTime&) = delete;
    CountedCpuTime& operator=(const CountedCpuTime&) = delete;

  private:
    MachineStatistics& statistics_;
    const std::uint64_t begin_ = thread_microseconds();
};

}  // namespace tinykvm::host
