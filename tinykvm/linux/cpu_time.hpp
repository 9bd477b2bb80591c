// CPU time of a guest: what the host threads that run it have used since the guest first asked in this run. Differences
// between two answers within one run are exact; the time of runs in which the guest does not ask is not counted.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstdint>
#include <thread>

namespace tinykvm::linux_abi {

class CpuMeter {
  public:
    // Adds what was used since the last call, in nanoseconds, to `total` and returns that.
    std::uint64_t charge(std::uint64_t& total);
    // Time that other threads of the host have used for the guest.
    void add(std::uint64_t nanoseconds) { others_ += nanoseconds; }

  private:
    std::thread::id thread_;
    std::uint64_t others_ = 0;
    std::uint64_t used_ = 0;        // by that thread and others, when asked last
    std::uint64_t last_total_ = 0;  // tells whether the state was reset since then
};

}  // namespace tinykvm::linux_abi
