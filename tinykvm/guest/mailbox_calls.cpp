#include "tinykvm/guest/mailbox_calls.hpp"

#include <algorithm>
#include <cerrno>

#include "tinykvm/errors.hpp"
#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"

namespace tinykvm {

namespace {

// A guest that was told to wait or to leave, and has done neither after this additional time, is made to leave. The
// time is long, because an honest guest may not have a CPU at the moment, and distant deadlines cost the watchdog
// nothing.
constexpr auto overtime = std::chrono::milliseconds(100);

bool is_doorbell_store(const kvm::Exit& exit, std::uint64_t offset) {
    return exit.reason == kvm::Exit::Reason::store && exit.size == sizeof(std::uint32_t) &&
           exit.address == x86::doorbell_physical + offset;
}

}  // namespace

// --- The thread that runs the guest

void MailboxCalls::wait_in_shim(std::chrono::microseconds wait) {
    mailbox_.set_wait_until(linux_abi::ClockPage::instance().ticks_after(wait));
    wait_ = Wait::waiting;
    watch_.emplace(parts_.vcpu, parts_.interrupted, Clock::now() + wait + overtime);
    mailbox_.set_phase(Phase::waiting);
}

bool MailboxCalls::prepare_wait(Awaits awaits, std::chrono::microseconds wait) {
    if (parts_.exits.is_mid_instruction() || !parts_.platform.guest_has_host_tsc() ||
        !linux_abi::ClockPage::instance().enabled())
        return false;
    const MutexLock lock(mutex_);
    if (further_) further_->abandon();
    UserContext& user = parts_.user;
    Registers registers;
    if (awaits == Awaits::result) {
        registers = resumed_ = user.registers();
        if (registers.rip != x86::host_call_end()) return false;
    } else {
        user.switch_to_thread(snapshot_->process.thread.id);
    }
    awaits_ = awaits;
    registers.rip = x86::wait_entry(user.leave_vectors_to_shim());
    user.enter(registers);
    call_failure_ = nullptr;
    parts_.interrupted.store(false);
    parts_.slices.begin_run();
    parts_.vcpu.acknowledge();
    parts_.exits.set_orderly(false);
    mailbox_.listen(false);
    parts_.writes.shorten_ring();
    wait_in_shim(wait);
    return true;
}

std::optional<Stop> MailboxCalls::wait_for_call(HostCalls& calls) {
    // However this ends, no thread finds a guest that waits any more.
    struct Left {
        MailboxCalls& calls;
        ~Left() { calls.leave(); }
    };
    const std::uint64_t ioctls_before = parts_.vcpu.ioctls();
    for (;;) {
        kvm::Exit exit{.reason = kvm::Exit::Reason::failed};
        std::exception_ptr run_failure;
        try {
            exit = further_ ? further_->run() : parts_.vcpu.run();
        } catch (...) {
            run_failure = std::current_exception();
        }
        const MutexLock lock(mutex_);
        parts_.exits.note(exit);
        std::optional<Stop> stop;
        if (wait_ == Wait::called) {
            try {
                stop = handle_exit_of_call(exit, run_failure, calls);
            } catch (...) {
                const Left left{*this};
                throw;
            }
            if (!stop) continue;
        } else if (stays_entered(exit)) {
            continue;
        } else {
            stop = leave_without_call(exit);
        }
        const Left left{*this};
        parts_.statistics.kvm_calls += parts_.vcpu.ioctls() - ioctls_before;
        return stop;
    }
}

std::optional<Stop> MailboxCalls::handle_exit_of_call(const kvm::Exit& exit, const std::exception_ptr& run_failure,
                                                      HostCalls& calls) {
    parts_.user.vectors_are_loaded();
    for (const auto& failure : {run_failure, call_failure_})
        if (failure) std::rethrow_exception(failure);
    const auto stop = parts_.exits.handle(exit, &calls, call_deadline_);
    if (stop) parts_.exits.set_orderly(true);
    return stop;
}

// An exit of a guest without a call that has nothing to do with its waiting.
bool MailboxCalls::stays_entered(const kvm::Exit& exit) {
    // It was the end of a time slice of the call before, noticed late.
    if (exit.reason == kvm::Exit::Reason::interrupted) return parts_.slices.acknowledge_end();
    if (exit.reason != kvm::Exit::Reason::ring_full) return false;
    // The ring became full when its request ended.
    parts_.writes.collect();
    parts_.writes.make_ring_room();
    return true;
}

// The end of waiting without a call, or of a call that poll_call() has concluded.
std::optional<Stop> MailboxCalls::leave_without_call(const kvm::Exit& exit) {
    // A KVM that fails before there is a call will do so again when there is one. A guest that left otherwise than
    // from the shim may not even have begun there.
    const bool called_out = is_doorbell_store(exit, x86::doorbell_host_call);
    const bool orderly = called_out || is_doorbell_store(exit, x86::doorbell_leave);
    parts_.exits.set_orderly(orderly);
    if (orderly || wait_ == Wait::completed) parts_.user.vectors_are_loaded();
    if (wait_ == Wait::completed) {
        return_to_host_call(called_out);
        return completed_stop_;
    }
    if (awaits_ == Awaits::result) parts_.user.enter(resumed_);
    return std::nullopt;
}

// Sets the registers of a guest that has stopped in the mailbox, so that it makes no difference whether it left with
// its call or was too slow and was made to leave.
void MailboxCalls::return_to_host_call(bool called_out) {
    Registers registers = parts_.user.registers();
    if (!called_out) {
        registers.rip = x86::host_call_end();
        registers.r11 = mailbox_.link();
    }
    registers.rax = 0;
    parts_.user.enter(registers);
}

void MailboxCalls::leave() noexcept {
    wait_ = Wait::none;
    watch_.reset();
    parts_.slices.stop();
    mailbox_.listen(false);
}

// --- The thread that has a call

bool MailboxCalls::post(GuestAddr function, std::span<const std::uint64_t> arguments, Deadline deadline) {
    const MutexLock lock(mutex_);
    if ((wait_ != Wait::waiting && wait_ != Wait::completed) || awaits_ != Awaits::call) return false;
    const GuestAddr stack = parts_.user.make_call_stack(snapshot_->registers.rsp);
    x86::Mailbox::Words words{};
    std::copy_n(arguments.begin(), std::min(arguments.size(), words.size()), words.begin());
    mailbox_.set_call(function, words, stack);
    return hand_over(Phase::call, deadline);
}

bool MailboxCalls::post_result(std::int64_t result, Deadline deadline) {
    const MutexLock lock(mutex_);
    if (wait_ != Wait::waiting || awaits_ != Awaits::result) return false;
    mailbox_.set_result(static_cast<std::uint64_t>(result), resumed_.rdx);
    mailbox_.set_link(resumed_.r11);
    return hand_over(Phase::reply, deadline);
}

// Lets a guest that waits go on with what is in its mailbox.
bool MailboxCalls::hand_over(Phase phase, Deadline deadline) {
    if (parts_.writes.may_write_too_much())
        return false;  // after a large request was laid out, the guest has to leave first
    linux_abi::ClockPage::instance().refresh();
    watch_.reset();
    if (parts_.interrupted.load()) return false;  // the guest is being made to leave
    mailbox_.listen(true);
    if (!mailbox_.change_phase(wait_ == Wait::waiting ? Phase::waiting : Phase::taken, phase)) {
        // The guest is leaving, or claims to.
        mailbox_.listen(false);
        watch_.emplace(parts_.vcpu, parts_.interrupted, Clock::now() + overtime);
        return false;
    }
    parts_.exits.begin_call();
    call_deadline_ = deadline;
    watch_.emplace(parts_.vcpu, parts_.interrupted, deadline);
    wait_ = Wait::called;
    const linux_abi::Process& process = parts_.user.process();
    called_on_ = process.state().thread.id;
    if (process.needs_interruptions()) parts_.slices.begin_slice();
    return true;
}

std::optional<Stop> MailboxCalls::poll_call(HostCalls& calls) {
    if (mailbox_.phase() != Phase::posted) return std::nullopt;
    if (!mutex_.try_lock()) return std::nullopt;
    const MutexLock lock(mutex_, std::adopt_lock);
    if (wait_ != Wait::called || call_failure_ || parts_.interrupted.load()) return std::nullopt;
    // Their guest has left with the call for which they work, and leaves with each one until that has ended.
    if (further_ && further_->busy()) return std::nullopt;
    if (calls.may_wait(static_cast<std::uint32_t>(mailbox_.target()))) {
        mailbox_.listen(false);  // the guest takes its call back and leaves with it
        return std::nullopt;
    }
    if (!mailbox_.change_phase(Phase::posted, Phase::taken)) return std::nullopt;
    try {
        const auto stop = handle_posted(calls);
        if (!stop) return std::nullopt;
        completed_stop_ = *stop;
    } catch (...) {
        call_failure_ = std::current_exception();
        mailbox_.set_phase(Phase::leave);
        return std::nullopt;
    }
    watch_.reset();
    parts_.slices.stop();
    wait_ = Wait::completed;
    return completed_stop_;
}

// Handles the call that was taken. How that stops the guest; nullopt: it goes on with the result.
std::optional<Stop> MailboxCalls::handle_posted(HostCalls& calls) {
    parts_.writes.enforce();
    const HostCall call{static_cast<std::uint32_t>(mailbox_.target()), mailbox_.arguments(), call_deadline_,
                        &parts_.interrupted};
    Stop stop{.reason = Stop::Reason::host_call};
    if (call.number == x86::host_call_returned) {
        stop = {.reason = Stop::Reason::returned, .values = {call.args[0], call.args[1]}};
    } else {
        ++parts_.statistics.host_calls;
        // A call that may wait here was another one when poll_call() looked: the guest has changed it.
        const HostCallResult result =
            calls.may_wait(call.number) ? HostCallResult::resume(-EAGAIN) : calls.handle(call, parts_.memory);
        if (result.next == HostCallResult::Next::resume) {
            // The guest then leaves, and the ring is shortened before it is entered again.
            if (parts_.writes.may_write_too_much()) parts_.slices.end_slice();
            mailbox_.set_result(static_cast<std::uint64_t>(result.value), result.second);
            mailbox_.set_phase(Phase::reply);
            return std::nullopt;
        }
    }
    parts_.statistics.pages_dirtied = parts_.memory.own_bytes() / page_size;
    return stop;
}

void MailboxCalls::release_after_call(std::optional<std::chrono::microseconds> wait_again) {
    const MutexLock lock(mutex_);
    if (wait_ != Wait::completed) return;  // the guest has left already, though it was not told to
    // Only the thread that was called can be called again.
    if (wait_again && parts_.user.process().state().thread.id == called_on_ && !parts_.interrupted.load()) {
        wait_in_shim(*wait_again);
    } else {
        watch_.emplace(parts_.vcpu, parts_.interrupted, Clock::now() + overtime);
        mailbox_.set_phase(Phase::leave);
    }
}

void MailboxCalls::release_locks() {
    const MutexLock lock(mutex_);
    parts_.user.release_locks();
}

void MailboxCalls::wake() {
    // The thread that holds the mutex handles a call, maybe for long, or an exit: the guest does not wait then.
    if (!mutex_.try_lock()) return;
    const MutexLock lock(mutex_, std::adopt_lock);
    if (wait_ != Wait::waiting) return;
    if (mailbox_.change_phase(Phase::waiting, Phase::leave)) return;
    parts_.interrupted.store(true);
    parts_.vcpu.kick();
}

}  // namespace tinykvm
