// The CPU time of the calling thread.
//
// Thread safety: any thread.
#pragma once

#include <time.h>

#include <chrono>

namespace tinykvm {

inline std::chrono::nanoseconds thread_time() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace tinykvm
