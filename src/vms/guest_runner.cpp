#include "src/vms/guest_runner.hpp"

#include <immintrin.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "src/vms/thread_time.hpp"

namespace tinykvm::host {

namespace {

// The holder listens so long for the answer of a guest that it called inside, then sleeps.
constexpr auto listening_time = std::chrono::microseconds(100);

}  // namespace

void GuestRunner::run(Conversation& conversation, GuestWork work, const IsClientGone& gone) {
    conversation_ = &conversation;
    work_ = work;
    switch (slot_.begin_run(work == GuestWork::request)) {
        case VmSlot::Way::here: return run_here(gone);
        case VmSlot::Way::on_thread: return run_on_thread(gone);
        case VmSlot::Way::inside: return run_inside(gone);
    }
}

void GuestRunner::perform() { slot_.end_run(conversation_->perform(work_)); }

// --- On the holder's thread

void GuestRunner::run_here(const IsClientGone& gone) {
    const std::function<void()> leave = [this] { slot_.interrupt(FailureKind::client_gone); };
    const ClientWatch watch(gone, leave);
    const CountedCpuTime counted(fork_.statistics());
    GuestOutput::attach(&fork_.output());
    stack_.run([this] { perform(); });
    GuestOutput::attach(nullptr);
}

void GuestRunner::reset_here() {
    std::string why;
    stack_.run([&] {
        try {
            fork_.reset();
        } catch (const std::exception& error) {
            why = error.what();
        }
    });
    if (!fork_.exists()) {
        throw Failure(FailureKind::host_error, "the VM could not be made new: " + why);
    }
}

// --- Inside the guest

void GuestRunner::run_inside(const IsClientGone& gone) {
    bool answered = false;
    stack_.run([&] { answered = call_inside(); });
    if (!answered) {
        run_on_thread(gone);
    }
}

// True when the request is answered. Otherwise the VM's thread serves it, now or soon.
bool GuestRunner::call_inside() {
    const MutexLock mailbox(mailbox_mutex_);
    if (!slot_.thread_is_inside()) {
        return false;  // it has left meanwhile, and may be at work
    }
    ProgramCall& call = conversation_->program_call();
    Fork& fork = fork_.get();
    guest_left_ = false;
    answered_inside_ = false;
    called_at_ = Clock::now();
    const Deadline deadline = conversation_->time().deadline(called_at_);
    if (!call.post(fork, deadline)) {
        fork.wake();
        return false;
    }
    spin_permit_.give_back();
    const std::chrono::microseconds spin_time = slot_.called_inside();
    std::optional<std::chrono::microseconds> again;
    if (!fork_.calls().is_ephemeral() && !fork_.waits_paused() && spin_permit_.obtain()) {
        again = spin_time;
    }
    std::optional<Stop> stop = listen(called_at_ + listening_time);
    if (stop && call.lay_out_end_of_body(*stop) && call.post(fork, deadline)) {
        stop = listen(called_at_ + 2 * listening_time);
    }
    std::optional<Response> response = stop ? call.answer(*stop) : std::nullopt;
    if (stop) {
        fork.release_after_call(response ? again : std::nullopt);
    }
    if (!response) {
        spin_permit_.give_back();
        return false;  // the VM's thread goes on, or reports what is wrong
    }
    conversation_->complete_inside(*std::move(response), called_at_);
    answered_inside_ = true;
    slot_.answered_inside(again.has_value());
    return true;
}

// Listens until the guest stops in the mailbox, or leaves, or has taken too long.
std::optional<Stop> GuestRunner::listen(Clock::time_point until) {
    Fork& fork = fork_.get();
    for (unsigned i = 1; !guest_left_.load(); ++i) {
        const bool enough = i % 32 == 0 && Clock::now() > until;
        if (enough) {
            fork.disable_mailbox();
        }
        if (const auto stop = fork.poll_call(fork_.calls()); stop || enough) {
            return stop;
        }
        _mm_pause();
    }
    return std::nullopt;
}

bool GuestRunner::prepare_to_wait(Leftover leftover) {
    const std::chrono::microseconds time = slot_.spin_time();
    if (time.count() == 0 || leftover == Leftover::soft || !spin_permit_.obtain()) {
        return false;
    }
    try {
        if (fork_.get().prepare_wait(fork_.waits_paused() ? Awaits::result : Awaits::call, time)) {
            return true;
        }
    } catch (const std::exception&) {
        // The next request meets the same error, and reports it.
    }
    spin_permit_.give_back();
    return false;
}

void GuestRunner::wait_inside() {
    std::optional<Stop> stop;
    std::exception_ptr thrown;
    try {
        stop = fork_.get().wait_for_call(fork_.calls());
    } catch (...) {
        thrown = std::current_exception();
    }
    guest_left_ = true;
    {
        const MutexLock mailbox(mailbox_mutex_);
        spin_permit_.give_back();
        fork_.count();
        slot_.left_guest();
        if (!thrown && (!stop || answered_inside_)) {
            return;  // there was no call, or the holder has the answer
        }
        conversation_->time().spend(Clock::now() - called_at_);
    }
    slot_.end_run(conversation_->perform_rest(stop, thrown));
}

}  // namespace tinykvm::host
