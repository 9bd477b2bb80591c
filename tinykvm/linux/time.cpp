// Clocks and sleeping.
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include <cstring>

#include "tinykvm/linux/cpu_time.hpp"
#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/timer_settings.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::uint64_t tick = 10'000'000;  // ns: times() counts in 1/100 s

TimeSpec to_timespec(std::uint64_t nanoseconds) {
    return {static_cast<std::int64_t>(nanoseconds / second), static_cast<std::int64_t>(nanoseconds % second)};
}

// When a signal ends a relative sleep, what was left of it is written to `remaining`; 0: it is not.
std::int64_t sleep_until(SyscallContext& call, Clock::time_point first, GuestAddr remaining) {
    const Wait wait{.what = Wait::For::time, .until = call.end_of_wait(first)};
    const auto now = Clock::now();
    if (wait.is_over(now)) return 0;
    const std::int64_t result = call.park(wait, -EINTR);
    if (result != -EINTR || remaining == 0) return result;
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(*wait.until - now).count();
    return call.memory.write(remaining, to_timespec(static_cast<std::uint64_t>(left))) ? -EINTR : -EFAULT;
}

std::optional<std::uint64_t> read_clock(SyscallContext& call, int clock) {
    return is_cpu_clock(call, clock) ? call.cpu.charge(call.state.cpu_nanoseconds) : guest_time(clock);
}

}  // namespace

std::int64_t sys_clock_gettime(SyscallContext& call) {
    const auto time = read_clock(call, call.int_arg(0));
    if (!time) return -EINVAL;
    return call.memory.write(call.args[1], to_timespec(*time)) ? 0 : -EFAULT;
}

std::int64_t sys_clock_getres(SyscallContext& call) {
    const int clock = call.int_arg(0);
    if (!read_clock(call, clock)) return -EINVAL;
    const bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    const TimeSpec resolution{0, coarse ? 4'000'000 : 1};
    if (call.args[1] == 0) return 0;
    return call.memory.write(call.args[1], resolution) ? 0 : -EFAULT;
}

std::int64_t sys_clock_settime(SyscallContext& call) {
    const int clock = call.int_arg(0);
    if (clock != CLOCK_REALTIME) return -EINVAL;
    TimeSpec time;
    const int error = read_timespec(call, call.args[1], time);
    return error ? error : -EPERM;
}

std::int64_t sys_gettimeofday(SyscallContext& call) {
    if (call.args[0]) {
        const TimeSpec now = to_timespec(*guest_time(CLOCK_REALTIME));
        const timeval value{now.seconds, now.nanoseconds / 1000};
        if (!call.memory.write(call.args[0], value)) return -EFAULT;
    }
    const std::int32_t utc[2] = {0, 0};
    if (call.args[1] && !call.memory.write(call.args[1], utc)) return -EFAULT;
    return 0;
}

std::int64_t sys_settimeofday(SyscallContext& call) {
    timeval value;
    if (call.args[0] && !call.memory.read(call.args[0], value)) return -EFAULT;
    return -EPERM;
}

std::int64_t sys_time(SyscallContext& call) {
    const std::int64_t now = to_timespec(*guest_time(CLOCK_REALTIME)).seconds;
    if (call.args[0] && !call.memory.write(call.args[0], now)) return -EFAULT;
    return now;
}

std::int64_t sys_times(SyscallContext& call) {
    const std::uint64_t used = call.cpu.charge(call.state.cpu_nanoseconds);
    const tms times{static_cast<clock_t>(used / tick), 0, 0, 0};
    if (call.args[0] && !call.memory.write(call.args[0], times)) return -EFAULT;
    return static_cast<std::int64_t>(*guest_time(CLOCK_MONOTONIC) / tick);
}

std::int64_t sys_getrusage(SyscallContext& call) {
    const int who = call.int_arg(0);
    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD) return -EINVAL;
    rusage usage;
    std::memset(&usage, 0, sizeof usage);
    if (who != RUSAGE_CHILDREN) {
        const TimeSpec used = to_timespec(call.cpu.charge(call.state.cpu_nanoseconds));
        usage.ru_utime = {used.seconds, used.nanoseconds / 1000};
        usage.ru_maxrss = static_cast<long>(call.memory.changed_bytes() / 1024);
    }
    return call.memory.write(call.args[1], usage) ? 0 : -EFAULT;
}

std::int64_t sys_nanosleep(SyscallContext& call) {
    TimeSpec time;
    if (const int error = read_timespec(call, call.args[0], time)) return error;
    return sleep_until(call, time_from_now(time), call.args[1]);
}

std::int64_t sys_clock_nanosleep(SyscallContext& call) {
    const int clock = call.int_arg(0);
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME:
        case CLOCK_TAI: break;
        case CLOCK_THREAD_CPUTIME_ID: return -EINVAL;
        default: return guest_time(clock) || is_cpu_clock(call, clock) ? -EOPNOTSUPP : -EINVAL;
    }
    TimeSpec time;
    if (const int error = read_timespec(call, call.args[2], time)) return error;
    if (call.args[1] & TIMER_ABSTIME) return sleep_until(call, moment_of(clock, time), 0);
    return sleep_until(call, time_from_now(time), call.args[3]);
}

}  // namespace tinykvm::linux_abi
