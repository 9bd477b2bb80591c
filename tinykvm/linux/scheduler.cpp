// Which thread runs next: of those that are ready, the one that was parked first.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "tinykvm/client.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/waiter.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr auto pause_look = std::chrono::milliseconds(100);

}  // namespace

bool Process::choose_thread(const Processor& on) {
    if (state_.has_timers()) expire_timers(state_, cpu_);
    const auto now = Clock::now();
    for (std::size_t i = 0; i < state_.parked.size(); ++i) {
        if (!is_ready(state_, state_.parked[i].state, options_, now)) continue;
        switch_to(state_, i, on);
        return true;
    }
    return state_.thread.id != 0 && is_ready(state_, state_.thread, options_, now);
}

bool Process::waits_for_caller() const {
    if (!options_.input && !options_.client) return false;
    const Client* client = options_.client ? options_.client() : nullptr;
    if (client && !client->may_wait()) return false;
    if (client && client->may_sleep()) return true;
    return has_thread_for_caller();
}

bool Process::has_thread_for_caller() const {
    return state_.thread.wait.for_caller ||
           std::any_of(state_.parked.begin(), state_.parked.end(),
                       [](const ParkedThread& parked) { return parked.state.wait.for_caller; });
}

std::optional<Clock::time_point> Process::next_wake() const {
    std::optional<Clock::time_point> first;
    const auto consider = [&](const std::optional<Clock::time_point>& moment) {
        if (moment && (!first || *moment < *first)) first = moment;
    };
    if (state_.thread.id != 0) consider(state_.thread.wait.until);
    for (const ParkedThread& parked : state_.parked) consider(parked.state.wait.until);
    if (state_.has_timers()) consider(next_expiration(state_));
    return first;
}

void Process::sleep(const Waiter& waiter) const {
    std::optional<Clock::time_point> until = next_wake();
    const bool input = options_.host_stdin && has_thread_for_caller();
    if (wants_pause_) {
        const auto look = Clock::now() + pause_look;
        until = until ? std::min(*until, look) : look;
    }
    waiter.wait_for_host(input ? STDIN_FILENO : -1, POLLIN, until);
}

Outcome Process::schedule(const Processor& on, const Waiter& waiter) {
    for (;;) {
        waiter.check();
        if (!choose_thread(on)) {
            if (waits_for_caller()) return {.next = Outcome::Next::needs_input, .wakes_at = next_wake()};
            if (wants_pause_ && wants_pause_()) return {.next = Outcome::Next::paused};
            sleep(waiter);
            continue;
        }
        const Wait wait = std::exchange(state_.thread.wait, {});
        if (wait.what == Wait::For::processor || wait.what == Wait::For::first_cpu)
            return deliver_pending(memory_, state_, on);
        Outcome outcome;
        const bool again = wait.what != Wait::For::call;
        if (make_call(on, waiter, again ? &wait : nullptr, outcome) == CallProgress::returned) return outcome;
    }
}

Outcome Process::go_on(Registers& registers, ThreadPointers& pointers, VectorState& vectors, Deadline deadline) {
    if (state_.process_id == 0) begin_fork();
    return schedule({registers, pointers, vectors}, Waiter(deadline, interrupted_));
}

std::optional<Clock::time_point> Process::others_ready_at(std::size_t beside) const {
    const auto now = Clock::now();
    std::optional<Clock::time_point> at;
    for (const ParkedThread& parked : state_.parked) {
        if (is_ready(state_, parked.state, options_, now)) {
            if (beside == 0) return now;
            --beside;
            continue;
        }
        const auto& until = parked.state.wait.until;
        if (until && (!at || *until < *at)) at = until;
    }
    return at;
}

std::optional<Wait::For> Process::bring_forward(bool all) {
    if (state_.has_timers()) expire_timers(state_, cpu_);
    const auto now = Clock::now();
    const auto rank = [&](const ThreadState& thread) {
        switch (thread.wait.what) {
            case Wait::For::call: return 0;
            case Wait::For::first_cpu: return 2;
            case Wait::For::processor: return all && deliverable_set(state_, thread) ? 1 : 3;
            default: return all && is_ready(state_, thread, options_, now) ? 1 : 3;
        }
    };
    const auto first = std::min_element(state_.parked.begin(), state_.parked.end(),
                                        [&](const auto& a, const auto& b) { return rank(a.state) < rank(b.state); });
    if (first == state_.parked.end() || rank(first->state) == 3) return std::nullopt;
    std::rotate(state_.parked.begin(), first, std::next(first));
    return state_.parked.front().state.wait.what;
}

std::optional<Clock::time_point> Process::next_timer_signal() {
    if (state_.process_id == 0) begin_fork();
    return linux_abi::next_timer_signal(state_, cpu_);
}

bool Process::switch_to_thread(int id, Registers& registers, ThreadPointers& pointers, VectorState& vectors) {
    if (state_.thread.id != id) {
        const auto found = std::find_if(state_.parked.begin(), state_.parked.end(),
                                        [id](const ParkedThread& parked) { return parked.state.id == id; });
        if (found == state_.parked.end()) return false;
        switch_to(state_, static_cast<std::size_t>(found - state_.parked.begin()), {registers, pointers, vectors});
    }
    state_.thread.wait = {};
    state_.thread.end_temporary_mask();
    return true;
}

}  // namespace tinykvm::linux_abi
