#include "tinykvm/linux/process_timers.hpp"

#include <sys/time.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/cpu_time.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/state.hpp"

namespace tinykvm::linux_abi {

namespace {

// The two time lines now. CPU time is only asked for when a timer counts it.
class Now {
  public:
    Now(ProcessState& state, CpuMeter& cpu) : state_(state), cpu_(cpu) {}

    std::uint64_t of(const Timer& timer) {
        std::optional<std::uint64_t>& time = timer.of_processor ? processor_ : clock_;
        if (!time) time = timer.of_processor ? cpu_.charge(state_.cpu_nanoseconds) : nanoseconds_of(Clock::now());
        return *time;
    }

  private:
    ProcessState& state_;
    CpuMeter& cpu_;
    std::optional<std::uint64_t> clock_, processor_;
};

constexpr int interval_signals[] = {SIGALRM, SIGVTALRM, SIGPROF};

constexpr std::size_t info_timer_id = 16, info_overrun = 20, info_value = 24;  // of siginfo_t

SignalInfo timer_info(const PosixTimer& timer) {
    SignalInfo info{};
    const std::int32_t head[] = {timer.signal, 0, SI_TIMER, 0, timer.id, timer.overrun};
    std::memcpy(info.data(), head, sizeof head);
    std::memcpy(info.data() + info_value, &timer.value, sizeof timer.value);
    return info;
}

// The signal of the timer that has not been delivered yet; null when there is none.
PendingSignal* find_pending(std::vector<PendingSignal>& queue, const PosixTimer& timer) {
    for (PendingSignal& pending : queue) {
        std::int32_t code = 0, id = 0;
        std::memcpy(&code, pending.info.data() + 8, sizeof code);
        std::memcpy(&id, pending.info.data() + info_timer_id, sizeof id);
        if (pending.signal == timer.signal && code == SI_TIMER && id == timer.id) return &pending;
    }
    return nullptr;
}

// A timer has at most one signal on its way, which then stands for several expirations.
void notify(ProcessState& state, PosixTimer& timer, std::uint64_t times) {
    ThreadState* thread = timer.notification == SIGEV_THREAD_ID ? find_thread(state, timer.thread) : nullptr;
    if (timer.notification == SIGEV_THREAD_ID && !thread) return;  // it has ended
    PendingSignal* pending = find_pending(thread ? thread->pending : state.pending, timer);
    const std::uint64_t more = pending ? static_cast<std::uint64_t>(timer.overrun) + times : times - 1;
    timer.overrun = static_cast<std::int32_t>(std::min<std::uint64_t>(more, INT32_MAX));
    if (pending) {
        std::memcpy(pending->info.data() + info_overrun, &timer.overrun, sizeof timer.overrun);
    } else if (thread) {
        send_signal(state, *thread, timer.signal, timer_info(timer));
    } else {
        send_signal(state, timer.signal, timer_info(timer));
    }
}

}  // namespace

PosixTimer* ProcessTimers::find(int id) {
    const auto found = std::find_if(created.begin(), created.end(), [id](const auto& one) { return one.id == id; });
    return found == created.end() ? nullptr : &*found;
}

void ProcessTimers::thaw(std::uint64_t since, std::uint64_t now) {
    for (Timer& timer : intervals) timer.thaw(since, now);
    for (PosixTimer& one : created) one.timer.thaw(since, now);
}

void expire_timers(ProcessState& state, CpuMeter& cpu) {
    Now now(state, cpu);
    for (std::size_t which = 0; which < state.timers.intervals.size(); ++which) {
        Timer& timer = state.timers.intervals[which];
        if (!timer.is_armed() || timer.expire(now.of(timer)) == 0) continue;
        SignalInfo info{};
        const std::int32_t head[] = {interval_signals[which], 0, SI_KERNEL};
        std::memcpy(info.data(), head, sizeof head);
        send_signal(state, interval_signals[which], info);
    }
    for (PosixTimer& one : state.timers.created) {
        if (!one.sends_signal() || !one.timer.is_armed()) continue;
        if (const std::uint64_t times = one.timer.expire(now.of(one.timer))) notify(state, one, times);
    }
    if (state.files.has_timers()) state.files.expire_timers(nanoseconds_of(Clock::now()));
}

std::optional<Clock::time_point> next_timer_signal(ProcessState& state, CpuMeter& cpu) {
    Now now(state, cpu);
    std::optional<std::uint64_t> left;
    const auto consider = [&](const Timer& timer) {
        if (timer.is_armed()) left = std::min(left.value_or(longest_time), timer.left(now.of(timer)));
    };
    for (const Timer& timer : state.timers.intervals) consider(timer);
    for (const PosixTimer& one : state.timers.created)
        if (one.sends_signal()) consider(one.timer);
    if (!left) return std::nullopt;
    return moment_at(nanoseconds_of(Clock::now()) + *left);
}

std::optional<Clock::time_point> next_expiration(const ProcessState& state) {
    std::uint64_t next = state.files.next_expiration();
    const auto consider = [&](const Timer& timer) {
        if (timer.is_armed() && !timer.of_processor) next = next == 0 ? timer.next : std::min(next, timer.next);
    };
    for (const Timer& timer : state.timers.intervals) consider(timer);
    for (const PosixTimer& one : state.timers.created)
        if (one.sends_signal()) consider(one.timer);
    if (next == 0) return std::nullopt;
    return moment_at(next);
}

}  // namespace tinykvm::linux_abi
