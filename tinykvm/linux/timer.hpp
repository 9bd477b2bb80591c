// When something expires: once, or at intervals.
//
// Times are in nanoseconds, on one of two time lines: that of the host's steady clock, or the CPU time of the process.
//
// Thread safety: a value, part of ProcessState; one owner at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// The longest time that Linux counts with.
inline constexpr std::uint64_t longest_time = INT64_MAX;

// A moment of the host's steady clock on its time line.
inline std::uint64_t nanoseconds_of(Clock::time_point moment) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(moment.time_since_epoch()).count());
}
inline Clock::time_point moment_at(std::uint64_t nanoseconds) {
    const auto since = std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(nanoseconds, longest_time)));
    return Clock::time_point(std::chrono::duration_cast<Clock::duration>(since));
}

struct Timer {
    bool of_processor = false;   // it counts CPU time
    bool absolute = false;       // it was set to a moment of a clock, and not for a time from then on
    std::uint64_t next = 0;      // 0: it is not armed
    std::uint64_t interval = 0;  // 0: it expires once

    bool is_armed() const { return next != 0; }
    // Expires after `time`, which is not 0, counted from `now`.
    void arm(std::uint64_t now, std::uint64_t time, std::uint64_t every) {
        next = std::min(now + std::min(time, longest_time), longest_time);
        interval = std::min(every, longest_time);
    }
    // How often it has expired since this was called last.
    std::uint64_t expire(std::uint64_t now) {
        if (next == 0 || now < next) return 0;
        if (interval == 0) {
            next = 0;
            return 1;
        }
        const std::uint64_t times = (now - next) / interval + 1;
        next = std::min(next + times * interval, longest_time);
        return times;
    }
    // The time until it expires: never 0 as long as it is armed, because 0 means that it is not.
    std::uint64_t left(std::uint64_t now) const {
        if (next == 0) return 0;
        return next > now ? next - now : 1;
    }
    // The process was frozen from `since` until `now`. A time goes on where it stood; a moment that has passed comes
    // once, late.
    void thaw(std::uint64_t since, std::uint64_t now) {
        if (next == 0 || of_processor) return;
        next = absolute ? std::max(next, now) : std::min(next + (now - since), longest_time);
    }

    template <typename Archive>
    void archive(Archive& archive) {
        archive(of_processor, absolute, next, interval);
    }
    bool operator==(const Timer&) const = default;
};

}  // namespace tinykvm::linux_abi
