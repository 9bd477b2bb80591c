// Calls of a guest that is already entered and waits for them, through its mailbox.
//
// Two threads: one is in KVM_RUN all the time (wait_for_call), the other brings a call (post) and looks for what the
// guest wants (take_call). A guest that leaves while it is called, for a system call or a fault, is handled by the
// first thread as ever.
#include <cerrno>

#include "tinykvm/errors.hpp"
#include "tinykvm/guest.hpp"
#include "tinykvm/linux/clock.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"

namespace tinykvm {

namespace {

using Phase = x86::Mailbox::Phase;

// A guest that was told to wait, or to leave, and does neither in this time more is made to leave. Long, because an
// honest one may not have a CPU at the moment, and because deadlines far away cost the watchdog nothing.
constexpr auto overtime = std::chrono::milliseconds(100);

bool rings(const kvm::Exit& exit, std::uint64_t offset) {
    return exit.reason == kvm::Exit::Reason::store && exit.size == sizeof(std::uint32_t) &&
           exit.address == x86::doorbell_physical + offset;
}

}  // namespace

void Guest::wait_in_shim(std::chrono::microseconds wait) {
    const auto& clock = linux_abi::ClockPage::instance();
    mailbox().set_wait_until(clock.ticks_after(wait));
    wait_ = Wait::waiting;
    call_watch_.emplace(vcpu_, interrupted_, Clock::now() + wait + overtime);
    mailbox().set_phase(Phase::waiting);
}

bool Guest::prepare_wait(const SnapshotContents& snapshot, Fork::Awaits awaits, std::chrono::microseconds wait) {
    if (mid_instruction_ || !platform_.guest_has_host_tsc() || !linux_abi::ClockPage::instance().enabled())
        return false;
    Registers registers;
    if (awaits == Fork::Awaits::result) {
        registers = resumed_ = user_registers();
        if (registers.rip != x86::host_call_end()) return false;
    } else {
        turn_to_waiting_thread(snapshot.process.thread.id);
    }
    awaits_ = awaits;
    const bool with_vectors = vectors_stale_ && platform_.xcr0() != 0;
    if (vectors_stale_ && !with_vectors) load_vectors(snapshot);
    registers.rip = x86::wait_entry(with_vectors);
    enter_user(registers);
    const std::lock_guard lock(turn_);
    call_failure_ = nullptr;
    interrupted_.store(false);
    turn_over_.store(false);
    vcpu_.acknowledge();
    disorderly_ = true;
    mailbox().listen(false);
    bound_writes();
    wait_in_shim(wait);
    return true;
}

std::optional<Stop> Guest::wait_for_call(HostCalls& calls) {
    // However this ends, nobody finds a guest that waits any more.
    struct Left {
        Guest& guest;
        ~Left() {
            guest.wait_ = Wait::none;
            guest.call_watch_.reset();
            guest.turn_watch_.reset();
            guest.mailbox().listen(false);
        }
    };
    const std::uint64_t ioctls_before = vcpu_.ioctls();
    for (;;) {
        kvm::Exit exit{.reason = kvm::Exit::Reason::failed};
        std::exception_ptr run_failure;
        try {
            exit = vcpu_.run();
        } catch (...) {
            run_failure = std::current_exception();
        }
        const std::lock_guard lock(turn_);
        ++statistics_.exits;
        mid_instruction_ = mid_instruction_ || !is_whole(exit);
        std::optional<Stop> stop;
        if (wait_ == Wait::called) {
            vectors_stale_ = false;
            try {
                for (const auto& failure : {run_failure, call_failure_})
                    if (failure) std::rethrow_exception(failure);
                stop = handle_in_time(exit, &calls, call_deadline_);
            } catch (...) {
                const Left left{*this};
                throw;
            }
            if (!stop) continue;
            disorderly_ = false;
        } else if (exit.reason == kvm::Exit::Reason::interrupted && end_of_turn()) {
            continue;  // that of the call before, noticed late
        } else if (exit.reason == kvm::Exit::Reason::ring_full) {
            collect_dirty_pages();
            make_ring_room();
            continue;  // of a request that ended when it was full
        } else {
            // A KVM that fails before anybody has called will do so again when somebody does. Whoever leaves otherwise
            // than from the shim may not even have begun there.
            const bool called_out = rings(exit, x86::doorbell_host_call);
            const bool orderly = called_out || rings(exit, x86::doorbell_leave);
            disorderly_ = !orderly;
            vectors_stale_ = vectors_stale_ && !orderly && wait_ != Wait::concluded;
            if (wait_ == Wait::concluded) {
                stop = conclusion_;
                stand_in_call(called_out);
            } else if (awaits_ == Fork::Awaits::result) {
                enter_user(resumed_);
            }
        }
        const Left left{*this};
        statistics_.kvm_calls += vcpu_.ioctls() - ioctls_before;
        return stop;
    }
}

bool Guest::post(const SnapshotContents& snapshot, GuestAddr function, std::span<const std::uint64_t> arguments,
                 Deadline deadline) {
    const std::lock_guard lock(turn_);
    if ((wait_ != Wait::waiting && wait_ != Wait::concluded) || awaits_ != Fork::Awaits::call) return false;
    const GuestAddr stack = call_stack(snapshot.registers.rsp);
    x86::Mailbox::Words words{};
    std::copy_n(arguments.begin(), std::min(arguments.size(), words.size()), words.begin());
    mailbox().set_call(function, words, stack);
    return hand_over(Phase::call, deadline);
}

bool Guest::post_result(std::int64_t result, Deadline deadline) {
    const std::lock_guard lock(turn_);
    if (wait_ != Wait::waiting || awaits_ != Fork::Awaits::result) return false;
    mailbox().set_result(static_cast<std::uint64_t>(result), resumed_.rdx);
    mailbox().set_link(resumed_.r11);
    return hand_over(Phase::reply, deadline);
}

bool Guest::hand_over(Phase phase, Deadline deadline) {
    if (may_write_too_much()) return false;  // a large request was laid out: it has to leave first
    linux_abi::ClockPage::instance().refresh();
    call_watch_.reset();
    if (interrupted_.load()) return false;  // it is being made to leave
    mailbox().listen(true);
    if (!mailbox().change_phase(wait_ == Wait::waiting ? Phase::waiting : Phase::taken, phase)) {
        // It leaves, or says it does.
        mailbox().listen(false);
        call_watch_.emplace(vcpu_, interrupted_, Clock::now() + overtime);
        return false;
    }
    spurious_count_ = 0;
    call_deadline_ = deadline;
    call_watch_.emplace(vcpu_, interrupted_, deadline);
    wait_ = Wait::called;
    called_on_ = process_.state().thread.id;
    if (!process_.alone()) watch_turn(true);
    return true;
}

std::optional<Stop> Guest::take_call(HostCalls& calls) {
    if (mailbox().phase() != Phase::posted) return std::nullopt;
    const std::unique_lock lock(turn_, std::try_to_lock);
    if (!lock || wait_ != Wait::called || call_failure_ || interrupted_.load()) return std::nullopt;
    if (calls.may_wait(static_cast<std::uint32_t>(mailbox().target()))) {
        mailbox().listen(false);  // it takes its call back and leaves with it
        return std::nullopt;
    }
    if (!mailbox().change_phase(Phase::posted, Phase::taken)) return std::nullopt;
    try {
        count_changes();
        const HostCall call{static_cast<std::uint32_t>(mailbox().target()), mailbox().arguments(), call_deadline_,
                            &interrupted_};
        if (call.number == x86::host_call_returned) {
            conclusion_ = {.reason = Stop::Reason::returned, .values = {call.args[0], call.args[1]}};
        } else {
            ++statistics_.host_calls;
            // One that may wait was another call when we looked.
            const HostCallResult result =
                calls.may_wait(call.number) ? HostCallResult::resume(-EAGAIN) : calls.handle(call, memory_);
            if (result.next == HostCallResult::Next::resume) {
                if (may_write_too_much()) end_turn();  // it enters again, and less may be written then
                mailbox().set_result(static_cast<std::uint64_t>(result.value), result.second);
                mailbox().set_phase(Phase::reply);
                return std::nullopt;
            }
            conclusion_ = {.reason = Stop::Reason::host_call};
        }
        statistics_.pages_dirtied = memory_.own_bytes() / page_size;
    } catch (...) {
        // The other thread throws it when the guest has left.
        call_failure_ = std::current_exception();
        mailbox().set_phase(Phase::leave);
        return std::nullopt;
    }
    call_watch_.reset();
    turn_watch_.reset();
    wait_ = Wait::concluded;
    return conclusion_;
}

void Guest::dismiss(std::optional<std::chrono::microseconds> wait_again) {
    const std::lock_guard lock(turn_);
    if (wait_ != Wait::concluded) return;  // it has left already, though it was not told to
    // Only the thread that was called can be called again.
    if (wait_again && process_.state().thread.id == called_on_ && !interrupted_.load()) {
        wait_in_shim(*wait_again);
    } else {
        call_watch_.emplace(vcpu_, interrupted_, Clock::now() + overtime);
        mailbox().set_phase(Phase::leave);
    }
}

// Where a guest goes on that has stopped in the mailbox. Whether it left with its call or was too slow for that is all
// the same then.
void Guest::stand_in_call(bool called_out) {
    Registers registers = user_registers();
    if (!called_out) {
        registers.rip = x86::host_call_end();
        registers.r11 = mailbox().link();
    }
    registers.rax = 0;
    enter_user(registers);
}

void Guest::stop_listening() { mailbox().listen(false); }

void Guest::recall() {
    // Whoever has the turn handles a call, maybe for long, or an exit: then nobody waits.
    const std::unique_lock lock(turn_, std::try_to_lock);
    if (!lock || wait_ != Wait::waiting) return;
    if (mailbox().change_phase(Phase::waiting, Phase::leave)) return;
    interrupted_.store(true);
    vcpu_.kick();
}

}  // namespace tinykvm
