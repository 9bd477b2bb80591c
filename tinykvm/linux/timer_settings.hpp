// How programs set timers of timer_create() and timerfd_create(), and read what is left: struct itimerspec.
//
// Thread safety: functions of their arguments.
#pragma once

#include <cstdint>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/timer.hpp"

namespace tinykvm::linux_abi {

struct TimerSetting {
    TimeSpec interval, value;
    bool is_valid() const;
};

TimerSetting setting_of(const Timer& timer, std::uint64_t now);
// Arms the timer as asked for: after the value has passed or, with `absolute`, when `clock` shows it. A value of 0
// disarms it. `now`: on the timer's time line.
void set_timer(Timer& timer, const TimerSetting& wanted, int clock, bool absolute, std::uint64_t now);

// Is it one that counts CPU time: one of the two constants, or a negative id that names a process or thread
// (clock_getcpuclockid)? The CPU clock of a thread is that of its process.
bool is_cpu_clock(const SyscallContext& call, int clock);

}  // namespace tinykvm::linux_abi
