#include "tinykvm/linux/timer_settings.hpp"

#include <algorithm>

#include "tinykvm/linux/guest_clock.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t second = 1'000'000'000;

bool is_time(const TimeSpec& time) {
    return time.seconds >= 0 && time.nanoseconds >= 0 && time.nanoseconds < static_cast<std::int64_t>(second);
}

std::uint64_t nanoseconds(const TimeSpec& time) {
    const auto whole = static_cast<std::uint64_t>(time.seconds);
    return whole >= longest_time / second ? longest_time
                                          : whole * second + static_cast<std::uint64_t>(time.nanoseconds);
}

TimeSpec to_timespec(std::uint64_t nanoseconds) {
    return {static_cast<std::int64_t>(nanoseconds / second), static_cast<std::int64_t>(nanoseconds % second)};
}

}  // namespace

bool TimerSetting::is_valid() const { return is_time(interval) && is_time(value); }

TimerSetting setting_of(const Timer& timer, std::uint64_t now) {
    return {to_timespec(timer.interval), to_timespec(timer.left(now))};
}

void set_timer(Timer& timer, const TimerSetting& wanted, int clock, bool absolute, std::uint64_t now) {
    timer = {.of_processor = timer.of_processor, .absolute = absolute};
    const std::uint64_t value = nanoseconds(wanted.value), interval = nanoseconds(wanted.interval);
    if (value == 0) return;
    if (!absolute) return timer.arm(now, value, interval);
    // A moment that has passed is kept, because it tells how often the timer has expired since.
    const std::uint64_t shown = timer.of_processor ? now : guest_time(clock).value_or(0);
    timer.interval = std::min(interval, longest_time);
    timer.next = value >= shown ? std::min(now + (value - shown), longest_time)
                                : std::max<std::uint64_t>(now - std::min(now, shown - value), 1);
}

bool is_cpu_clock(const SyscallContext& call, int clock) {
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) return true;
    if (clock >= 0 || (clock & 3) == 3) return false;
    return call.is_own(~(clock >> 3));
}

}  // namespace tinykvm::linux_abi
