// CPU time of a guest: what the host thread that runs it used, from the first time the guest asks in a run. Differences
// between two questions within one run are exact; the time of runs without a question is not counted.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstdint>
#include <thread>

namespace tinykvm::linux_abi {

class CpuMeter {
  public:
    // Adds what was used since the last question to `total` and returns it.
    std::uint64_t charge(std::uint64_t& total);

  private:
    std::thread::id thread_;
    std::uint64_t used_ = 0;        // by that thread, when asked last
    std::uint64_t last_total_ = 0;  // tells whether the state was reset since then
};

}  // namespace tinykvm::linux_abi
