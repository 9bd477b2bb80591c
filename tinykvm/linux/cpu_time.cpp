#include "tinykvm/linux/cpu_time.hpp"

#include "tinykvm/os/thread_time.hpp"

namespace tinykvm::linux_abi {

std::uint64_t CpuMeter::charge(std::uint64_t& total) {
    const auto used = static_cast<std::uint64_t>(thread_time().count()) + others_;
    if (thread_ == std::this_thread::get_id() && last_total_ == total && used > used_) total += used - used_;
    thread_ = std::this_thread::get_id();
    used_ = used;
    last_total_ = total;
    return total;
}

}  // namespace tinykvm::linux_abi
