#include "tinykvm/guest/cpu_thread.hpp"

#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/os/quiet_thread.hpp"
#include "tinykvm/os/thread_time.hpp"

namespace tinykvm {

CpuThread::CpuThread(const kvm::Vm& vm, std::span<const kvm::CpuidEntry> cpuid, unsigned number, Left left)
    : vcpu_(vm, cpuid, number), left_(std::move(left)) {
    try {
        thread_ = start_quiet_thread("tinykvm-cpu" + std::to_string(number), [this] { work(); });
    } catch (const std::system_error& error) {
        throw MachineError::from_errno("a thread for a further CPU of a VM", error.code().value());
    }
}

CpuThread::~CpuThread() {
    halt();
    {
        const MutexLock lock(mutex_);
        state_ = State::ends;
    }
    changed_.notify_all();
    thread_.join();
}

void CpuThread::enter() {
    halting_.store(false);
    {
        const MutexLock lock(mutex_);
        state_ = State::runs;
    }
    changed_.notify_all();
}

void CpuThread::ask_to_halt() {
    halting_.store(true);
    vcpu_.kick();
}

void CpuThread::halt() {
    if (!halting_.load()) ask_to_halt();
    {
        const MutexLock lock(mutex_);
        while (state_ == State::runs) changed_.wait(mutex_);
    }
    vcpu_.acknowledge();
}

std::optional<kvm::Exit> CpuThread::take_exit() {
    if (const std::exception_ptr failure = std::exchange(failure_, nullptr)) std::rethrow_exception(failure);
    return std::exchange(exit_, std::nullopt);
}

// --- Its thread

void CpuThread::work() {
    while (wait_for_turn()) {
        const std::chrono::nanoseconds begin = thread_time();
        run();
        time_ += thread_time() - begin;
        left_(exit_.value_or(kvm::Exit{}), !halting_.load());
        {
            const MutexLock lock(mutex_);
            if (state_ == State::runs) state_ = State::stands_still;
        }
        changed_.notify_all();
    }
}

bool CpuThread::wait_for_turn() {
    const MutexLock lock(mutex_);
    while (state_ == State::stands_still) changed_.wait(mutex_);
    return state_ == State::runs;
}

void CpuThread::run() {
    try {
        // A kick that came late, for the run before, is no reason to stand still.
        do {
            exit_ = vcpu_.run();
        } while (exit_->reason == kvm::Exit::Reason::interrupted && !halting_.load());
    } catch (...) {
        failure_ = std::current_exception();
    }
}

}  // namespace tinykvm
