// Whose turn it is with a request VM: the state of its life, and the mutex and the condition by which the pool, the
// holder of the lease and the VM's own thread agree about it.
//
// In building, running and resetting it is the turn of the VM's thread, else that of the holder. It has the fork for
// itself; others may only interrupt a guest that runs, and wake one that waits for calls.
//
// Thread safety: any thread, in the groups below. A RequestVm owns it. Its mutex is taken after those of the pool and
// of the mailbox (src/vms/guest_runner.hpp), and before that of the fork.
#pragma once

#include <chrono>
#include <optional>

#include "src/base/failure.hpp"
#include "src/vms/client_watch.hpp"
#include "src/vms/program_fork.hpp"
#include "src/vms/spin.hpp"
#include "src/vms/vm_life.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

class VmSlot {
  public:
    VmSlot(ProgramFork& fork, Poll poll) : fork_(fork), spin_time_(poll) {}
    VmSlot(const VmSlot&) = delete;
    VmSlot& operator=(const VmSlot&) = delete;

    // --- For the pool, any thread
    // Hands out a VM that is idle; any other state is a mistake of ours and ends the process.
    void reserve();
    // Ends the thread as soon as the VM is not leased.
    void retire();
    // Ends what the guest is doing, if it runs; may be lost in the instant before that, so it has to be repeated.
    void interrupt(FailureKind why);

    // --- For the holder
    // Before a request is laid out. True: the VM is as a request with soft_reset left it.
    bool begin();
    // Which way the guest is to run. Only for a whole request it can be called inside.
    enum class Way { here, on_thread, inside };
    Way begin_run(bool is_request);
    // Waits until the VM's thread has run the guest. Looks for the client, and interrupts the guest when it has gone.
    void await_thread(const IsClientGone& gone);
    // The guest that was called inside has its call, and may be interrupted. Returns how long it may wait for another
    // one.
    std::chrono::microseconds called_inside();
    // It has answered. It may be called again, or its thread is to leave it.
    void answered_inside(bool may_be_called_again);
    // Gives the VM back. True: it is idle, and may be gone at once together with its pool. False: its thread makes it
    // fit first.
    bool release(Leftover leftover);

    // --- For the thread that runs the guest
    // Throws the failure with which the run was interrupted.
    void enter_guest();
    void leave_guest();
    // The run is over: answered, or reserved when more of the request is to come.
    void end_run(VmState next);

    // --- For the VM's thread
    void become_idle(bool enters, Leftover leftover);
    // The thread has left the guest in which it waited for calls.
    void left_guest();
    enum class Task { run_guest, reset, reset_last, end };
    Task await_task();
    void withdraw();

    // --- Any thread
    std::optional<VmState> state_unless_locked() noexcept;  // waits for no mutex; nullopt when it is held
    std::optional<FailureKind> interrupted() const;
    bool thread_is_inside() const;
    std::chrono::microseconds spin_time() const;

  private:
    bool needs_thread(Leftover leftover, bool is_soft) const TINYKVM_REQUIRES(mutex_);

    ProgramFork& fork_;
    mutable Mutex mutex_;
    CondVar changed_;
    VmLife life_ TINYKVM_GUARDED_BY(mutex_);
    // Inside only between become_idle() and left_guest().
    ThreadPlace thread_place_ TINYKVM_GUARDED_BY(mutex_) = ThreadPlace::outside;
    bool closing_ TINYKVM_GUARDED_BY(mutex_) = false;
    bool guest_runs_ TINYKVM_GUARDED_BY(mutex_) = false;
    std::optional<FailureKind> interrupted_ TINYKVM_GUARDED_BY(mutex_);  // of this lease
    SpinTime spin_time_ TINYKVM_GUARDED_BY(mutex_);
    std::optional<ServedRequest> served_ TINYKVM_GUARDED_BY(mutex_);  // while the VM is leased
};

}  // namespace tinykvm::host
