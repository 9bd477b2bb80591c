// Timers that send signals: alarm, setitimer and getitimer, timer_create and its relatives.
#include <sys/time.h>
#include <time.h>

#include <algorithm>

#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/linux/process_timers.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/timer_settings.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t second = 1'000'000'000, microsecond = 1'000;

std::uint64_t time_of(SyscallContext& call, const Timer& timer) {
    return timer.of_processor ? call.cpu.charge(call.state.cpu_nanoseconds) : nanoseconds_of(Clock::now());
}

// --- Intervals

struct TimeValue {
    std::int64_t seconds = 0, microseconds = 0;
    bool is_valid() const { return seconds >= 0 && microseconds >= 0 && microseconds < 1'000'000; }
    std::uint64_t nanoseconds() const {
        const auto whole = static_cast<std::uint64_t>(seconds);
        if (whole >= longest_time / second) return longest_time;
        return whole * second + static_cast<std::uint64_t>(microseconds) * microsecond;
    }
};
struct IntervalValue {
    TimeValue interval, value;
};

TimeValue to_time_value(std::uint64_t nanoseconds) {
    return {static_cast<std::int64_t>(nanoseconds / second),
            static_cast<std::int64_t>(nanoseconds % second / microsecond)};
}

IntervalValue setting_of(SyscallContext& call, const Timer& timer) {
    const std::uint64_t left = timer.left(time_of(call, timer));
    return {to_time_value(timer.interval), to_time_value(left == 0 ? 0 : std::max(left, microsecond))};
}

void set(SyscallContext& call, Timer& timer, std::uint64_t value, std::uint64_t interval) {
    timer = {.of_processor = timer.of_processor};
    if (value != 0) timer.arm(time_of(call, timer), value, interval);
}

// --- Timers of timer_create()

// struct sigevent of a guest.
struct SignalEvent {
    std::uint64_t value = 0;
    std::int32_t signal = SIGALRM, notification = SIGEV_SIGNAL, thread = 0;
    std::array<std::int32_t, 11> padding{};
};
static_assert(sizeof(SignalEvent) == 64);

// Returns 0 or a negative errno.
int check_clock(const SyscallContext& call, int clock) {
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME:
        case CLOCK_TAI: return 0;
        case CLOCK_REALTIME_ALARM:
        case CLOCK_BOOTTIME_ALARM: return -EPERM;  // they would wake a machine that sleeps
        default: break;
    }
    if (is_cpu_clock(call, clock)) return 0;
    return guest_time(clock) ? -EOPNOTSUPP : -EINVAL;
}

// Is there something that can be told in this way?
bool is_valid(const SyscallContext& call, const SignalEvent& event) {
    const bool is_signal = event.signal >= 1 && event.signal <= signal_count;
    switch (event.notification) {
        case SIGEV_NONE: return true;
        case SIGEV_SIGNAL:
        case SIGEV_THREAD: return is_signal;
        case SIGEV_THREAD_ID: return is_signal && has_thread(call.state, event.thread);
        default: return false;
    }
}

// Timers without signals do not expire by themselves: they are asked.
void catch_up(SyscallContext& call, PosixTimer& timer) {
    if (timer.timer.is_armed() && !timer.sends_signal()) timer.timer.expire(time_of(call, timer.timer));
}

}  // namespace

std::int64_t sys_alarm(SyscallContext& call) {
    Timer& timer = call.state.timers.intervals[ITIMER_REAL];
    const std::uint64_t left = timer.left(nanoseconds_of(Clock::now()));
    const auto seconds = std::min<std::uint64_t>(static_cast<std::uint32_t>(call.args[0]), INT32_MAX);
    set(call, timer, seconds * second, 0);
    // As Linux rounds it: never to 0 as long as something was left.
    const std::uint64_t rest = left % second;
    const bool up = left < second ? left != 0 : rest >= second / 2;
    return static_cast<std::int64_t>(left / second + up);
}

std::int64_t sys_getitimer(SyscallContext& call) {
    const auto which = static_cast<std::uint32_t>(call.args[0]);
    if (which >= call.state.timers.intervals.size()) return -EINVAL;
    return call.memory.write(call.args[1], setting_of(call, call.state.timers.intervals[which])) ? 0 : -EFAULT;
}

std::int64_t sys_setitimer(SyscallContext& call) {
    IntervalValue wanted;  // without a new value, Linux stops the timer
    if (call.args[1] && !call.memory.read(call.args[1], wanted)) return -EFAULT;
    if (!wanted.value.is_valid() || !wanted.interval.is_valid()) return -EINVAL;
    const auto which = static_cast<std::uint32_t>(call.args[0]);
    if (which >= call.state.timers.intervals.size()) return -EINVAL;
    Timer& timer = call.state.timers.intervals[which];
    const IntervalValue before = setting_of(call, timer);
    set(call, timer, wanted.value.nanoseconds(), wanted.interval.nanoseconds());
    return call.args[2] && !call.memory.write(call.args[2], before) ? -EFAULT : 0;
}

std::int64_t sys_timer_create(SyscallContext& call) {
    const int clock = call.int_arg(0);
    ProcessTimers& timers = call.state.timers;
    SignalEvent event;
    const bool has_event = call.args[1] != 0;
    if (has_event && !call.memory.read(call.args[1], event)) return -EFAULT;
    if (const int error = check_clock(call, clock)) return error;
    if (timers.created.size() >= max_timers) {
        call.log("timer_create failed: no more than " + std::to_string(max_timers) + " timers");
        return -EAGAIN;
    }
    if (has_event && !is_valid(call, event)) return -EINVAL;
    const int id = timers.next_id;
    if (!call.memory.write(call.args[2], id)) return -EFAULT;
    timers.next_id = id == INT32_MAX ? 0 : id + 1;
    PosixTimer timer{.id = id, .clock = clock};
    timer.timer.of_processor = is_cpu_clock(call, clock);
    timer.value = static_cast<std::uint64_t>(id);
    if (has_event) {
        timer.notification = event.notification;
        timer.signal = event.signal;
        timer.thread = event.thread;
        timer.value = event.value;
    }
    timers.created.push_back(timer);
    return 0;
}

std::int64_t sys_timer_settime(SyscallContext& call) {
    TimerSetting wanted;
    if (call.args[2] == 0) return -EINVAL;
    if (!call.memory.read(call.args[2], wanted)) return -EFAULT;
    if (!wanted.is_valid()) return -EINVAL;
    PosixTimer* found = call.state.timers.find(call.int_arg(0));
    if (!found) return -EINVAL;
    catch_up(call, *found);
    const std::uint64_t now = time_of(call, found->timer);
    const TimerSetting before = setting_of(found->timer, now);
    set_timer(found->timer, wanted, found->clock, call.args[1] & TIMER_ABSTIME, now);
    return call.args[3] && !call.memory.write(call.args[3], before) ? -EFAULT : 0;
}

std::int64_t sys_timer_gettime(SyscallContext& call) {
    PosixTimer* found = call.state.timers.find(call.int_arg(0));
    if (!found) return -EINVAL;
    catch_up(call, *found);
    return call.memory.write(call.args[1], setting_of(found->timer, time_of(call, found->timer))) ? 0 : -EFAULT;
}

std::int64_t sys_timer_getoverrun(SyscallContext& call) {
    const PosixTimer* found = call.state.timers.find(call.int_arg(0));
    return found ? found->overrun : -EINVAL;
}

std::int64_t sys_timer_delete(SyscallContext& call) {
    const int id = call.int_arg(0);
    return std::erase_if(call.state.timers.created, [id](const PosixTimer& one) { return one.id == id; }) ? 0 : -EINVAL;
}

}  // namespace tinykvm::linux_abi
