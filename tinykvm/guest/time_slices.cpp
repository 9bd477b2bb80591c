#include "tinykvm/guest/time_slices.hpp"

#include <algorithm>

#include "tinykvm/types.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"

namespace tinykvm {

namespace {

// A slice is a multiple of the time that changing threads takes, so that threads make progress on emulated and
// overcommitted hosts, too.
constexpr Clock::duration longest = std::chrono::milliseconds(100);
constexpr int slice_over_change = 16;

}  // namespace

void TimeSlices::begin_run() {
    watch_.reset();
    over_.store(false);
}

void TimeSlices::end_slice() noexcept {
    over_.store(true);
    vcpu_.kick();
}

bool TimeSlices::acknowledge_end() {
    if (!over_.load()) return false;
    watch_.reset();
    over_.store(false);
    vcpu_.acknowledge();
    if (interrupted_.load()) vcpu_.kick();  // the end of the run must not be acknowledged here
    return true;
}

std::optional<linux_abi::Outcome> TimeSlices::switch_thread(Deadline deadline) {
    Registers registers = user_.registers();
    // A thread is left between two instructions of its own: not in supervisor mode, not with an exception on its way
    // and not in the shim, where it may hold the mailbox.
    if (x86::in_shim(registers.rip) || !user_.in_user_mode() || vcpu_.has_pending_exception()) {
        length_ = std::min(length_ * 2, longest);
        put_off_end();
        return std::nullopt;
    }
    const auto began = Clock::now();
    linux_abi::ThreadPointers pointers = user_.thread_pointers();
    const linux_abi::Outcome outcome = user_.use_process().go_on(registers, pointers, user_.vectors(), deadline);
    user_.set_thread_pointers(pointers);
    user_.enter(registers);
    length_ = std::clamp((Clock::now() - began) * slice_over_change, shortest, longest);
    if (user_.process().needs_interruptions()) begin_slice();
    return outcome;
}

void TimeSlices::watch(bool begins, Clock::duration least) {
    const auto now = Clock::now();
    std::optional<Deadline> end = user_.process().others_ready_at(beside_);
    if (end) end = std::max(*end, now + length_);
    if (user_.process().has_timer_signals()) {
        if (const auto due = user_.use_process().next_timer_signal())
            end = std::min(end.value_or(Deadline::max()), std::max(*due, now + least));
    }
    if (!end) return watch_.reset();
    if (watch_ && !begins && ends_ <= *end) return;
    ends_ = *end;
    watch_.emplace(vcpu_, over_, *end);
}

}  // namespace tinykvm
