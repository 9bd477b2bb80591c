// The timers of a process that send it signals: alarm() and setitimer(), and those of timer_create().
//
// Nothing of this runs by itself. Process has timers expire before it makes a system call and when it chooses a thread,
// and has the guest interrupted when the next signal is due.
//
// While a program is frozen its timers stand still; they go on with each request (Timer::thaw).
//
// Thread safety: a value, part of ProcessState; one owner at a time.
#pragma once

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tinykvm/linux/timer.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

class CpuMeter;
struct ProcessState;

inline constexpr std::size_t max_timers = 64;  // of timer_create(), in a process

struct PosixTimer {
    int id = 0;
    int clock = 0;
    int notification = SIGEV_SIGNAL;
    int signal = SIGALRM;
    int thread = 0;            // of SIGEV_THREAD_ID: which one gets the signal
    std::uint64_t value = 0;   // what the signal tells (sigev_value)
    std::int32_t overrun = 0;  // expirations that the last signal stands for, but for one
    Timer timer{};

    bool sends_signal() const { return notification != SIGEV_NONE; }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(id, clock, notification, signal, thread, value, overrun, timer);
    }
};

struct ProcessTimers {
    std::array<Timer, 3> intervals{Timer{}, Timer{.of_processor = true}, Timer{.of_processor = true}};  // by ITIMER_...
    std::vector<PosixTimer> created;
    int next_id = 0;

    // Can a signal come by itself?
    bool is_armed() const {
        if (intervals[0].is_armed() || intervals[1].is_armed() || intervals[2].is_armed()) return true;
        for (const PosixTimer& one : created)
            if (one.sends_signal() && one.timer.is_armed()) return true;
        return false;
    }
    PosixTimer* find(int id);
    template <typename Archive>
    void archive(Archive& archive) {
        archive(intervals, created, next_id);
    }
    // After the process was frozen from `since` on.
    void thaw(std::uint64_t since, std::uint64_t now);
};

// Sends the signals of timers that have expired, and has files of timers count their expirations.
void expire_timers(ProcessState& state, CpuMeter& cpu);
// When the next signal of a timer is due, if nothing but computing happens until then.
std::optional<Clock::time_point> next_timer_signal(ProcessState& state, CpuMeter& cpu);
// When the next timer expires that does not count CPU time, those of files included.
std::optional<Clock::time_point> next_expiration(const ProcessState& state);

}  // namespace tinykvm::linux_abi
