#include "tinykvm/linux/cpu_time.hpp"

#include <time.h>

namespace tinykvm::linux_abi {

std::uint64_t CpuMeter::charge(std::uint64_t& total) {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    const std::uint64_t used =
        static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
    if (thread_ == std::this_thread::get_id() && last_total_ == total && used > used_) total += used - used_;
    thread_ = std::this_thread::get_id();
    used_ = used;
    last_total_ = total;
    return total;
}

}  // namespace tinykvm::linux_abi
