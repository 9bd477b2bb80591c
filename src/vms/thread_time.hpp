// The CPU time of the calling thread.
//
// Thread safety: any thread.
#pragma once

#include <time.h>

#include <cstdint>

namespace tinykvm::host {

inline std::uint64_t thread_microseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace tinykvm::host
