#include "src/vms/vm_slot.hpp"

#include "tinykvm/fork.hpp"

namespace tinykvm::host {

namespace {

constexpr auto look_for_client = std::chrono::milliseconds(100);

}  // namespace

void VmSlot::reserve() {
    const MutexLock lock(mutex_);
    life_.move_to(life_.state() == VmState::idle_soft ? VmState::reserved_soft : VmState::reserved);
    served_.emplace();
    interrupted_.reset();
}

void VmSlot::retire() {
    const MutexLock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
    if (thread_place_ != ThreadPlace::outside) {
        fork_.wake();
    }
}

void VmSlot::interrupt(FailureKind why) {
    if (why == FailureKind::client_gone && fork_.is_debugged()) {
        return;  // somebody looks at the request
    }
    const MutexLock lock(mutex_);
    if (life_.is_running() && !interrupted_) {
        interrupted_ = why;
    }
    if (guest_runs_) {
        fork_.interrupt();
    }
}

bool VmSlot::begin() {
    const MutexLock lock(mutex_);
    const bool is_soft = life_.state() == VmState::reserved_soft;
    if (is_soft) {
        life_.move_to(VmState::reserved);
    }
    return is_soft;
}

VmSlot::Way VmSlot::begin_run(bool is_request) {
    const MutexLock lock(mutex_);
    if (is_request) {
        spin_time_.request_came(Clock::now());
    }
    if (thread_place_ == ThreadPlace::outside && Fork::changes_threads_freely()) {
        life_.move_to(VmState::running_here);
        return Way::here;
    }
    life_.move_to(VmState::running);
    if (thread_place_ == ThreadPlace::outside) {
        return Way::on_thread;
    }
    if (is_request) {
        return Way::inside;
    }
    fork_.wake();
    return Way::on_thread;
}

void VmSlot::await_thread(const IsClientGone& gone) {
    const MutexLock lock(mutex_);
    changed_.notify_all();
    for (;;) {
        const auto next_look = Clock::now() + look_for_client;
        while (life_.is_running() && changed_.wait_until(mutex_, next_look)) {
        }
        if (!life_.is_running()) {
            return;
        }
        const MutexUnlock unlocked(mutex_);
        if (gone && gone()) {
            interrupt(FailureKind::client_gone);  // repeated until the guest has noticed
        }
    }
}

std::chrono::microseconds VmSlot::called_inside() {
    const MutexLock lock(mutex_);
    guest_runs_ = true;
    if (interrupted_) {
        fork_.interrupt();
    }
    return spin_time_.get();
}

void VmSlot::answered_inside(bool may_be_called_again) {
    const MutexLock lock(mutex_);
    guest_runs_ = false;
    thread_place_ = may_be_called_again ? ThreadPlace::inside : ThreadPlace::leaving;
    life_.move_to(VmState::answered);
}

bool VmSlot::release(Leftover leftover) {
    const MutexLock lock(mutex_);
    const bool is_soft = leftover == Leftover::soft || life_.state() == VmState::reserved_soft;
    life_.move_to(VmState::resetting);
    served_.reset();
    if (needs_thread(leftover, is_soft)) {
        changed_.notify_all();
        if (thread_place_ != ThreadPlace::outside) {
            fork_.wake();
        }
        return false;
    }
    if (thread_place_ == ThreadPlace::outside) {
        fork_.count();
    }
    spin_time_.became_idle(Clock::now());
    life_.move_to(is_soft ? VmState::idle_soft : VmState::idle);
    return true;
}

// Has the VM's thread to do something before the next request: to reset, to go back to where a paused program waits, to
// enter the guest, or to end?
bool VmSlot::needs_thread(Leftover leftover, bool is_soft) const {
    const bool ran = leftover == Leftover::kept || leftover == Leftover::soft;
    const bool enters = spin_time_.get().count() > 0 && thread_place_ == ThreadPlace::outside && !is_soft;
    return leftover == Leftover::spoiled || thread_place_ == ThreadPlace::leaving || (ran && fork_.waits_paused()) ||
           enters || closing_;
}

void VmSlot::enter_guest() {
    const MutexLock lock(mutex_);
    if (interrupted_) {
        throw Failure(*interrupted_, "interrupted");
    }
    guest_runs_ = true;
}

void VmSlot::leave_guest() {
    const MutexLock lock(mutex_);
    guest_runs_ = false;
}

void VmSlot::end_run(VmState next) {
    const MutexLock lock(mutex_);
    const bool was_here = life_.state() == VmState::running_here;
    life_.move_to(next);
    if (!was_here) {
        changed_.notify_all();
    }
}

void VmSlot::become_idle(bool enters, Leftover leftover) {
    const MutexLock lock(mutex_);
    thread_place_ = enters ? ThreadPlace::inside : ThreadPlace::outside;
    spin_time_.became_idle(Clock::now());
    life_.move_to(leftover == Leftover::soft ? VmState::idle_soft : VmState::idle);
}

void VmSlot::left_guest() {
    const MutexLock lock(mutex_);
    thread_place_ = ThreadPlace::outside;
    guest_runs_ = false;
}

VmSlot::Task VmSlot::await_task() {
    const MutexLock lock(mutex_);
    while (life_.state() != VmState::running && life_.state() != VmState::resetting && !(closing_ && life_.is_idle())) {
        changed_.wait(mutex_);
    }
    if (life_.is_idle()) {
        return Task::end;
    }
    if (life_.state() == VmState::running) {
        return Task::run_guest;
    }
    return closing_ ? Task::reset_last : Task::reset;
}

void VmSlot::withdraw() {
    const MutexLock lock(mutex_);
    life_.move_to(VmState::withdrawn);
}

std::optional<VmState> VmSlot::state_unless_locked() noexcept {
    if (!mutex_.try_lock()) {
        return std::nullopt;
    }
    const MutexLock lock(mutex_, std::adopt_lock);
    return life_.state();
}

std::optional<FailureKind> VmSlot::interrupted() const {
    const MutexLock lock(mutex_);
    return interrupted_;
}

bool VmSlot::thread_is_inside() const {
    const MutexLock lock(mutex_);
    return thread_place_ != ThreadPlace::outside;
}

std::chrono::microseconds VmSlot::spin_time() const {
    const MutexLock lock(mutex_);
    return spin_time_.get();
}

}  // namespace tinykvm::host
