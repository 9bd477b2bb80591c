// The CPU time of the calling thread.
//
// Thread safety: any thread.
#pragma once

#include <time.h>

#include <cstdint>

#include "src/vms/program_statistics.hpp"

namespace tinykvm::host {

inline std::uint64_t thread_microseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
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
