// Has the guest of a VM run for a conversation, in the way that is fastest on this machine at this moment:
//
// run_here       on the thread of the lease's holder, on a stack of the VM's: threads of a server may have small ones.
// run_on_thread  on the VM's thread, where a vCPU that changes threads is expensive (kernels before 6.13). The request
//                changes hands twice.
// run_inside     no thread enters the guest: the VM's own is inside it already, where the guest spins and waits for a
//                call (`poll`). The holder brings the call through shared memory, and looks for the answer there.
//
// Thread safety: see the groups below. A RequestVm owns it; borrows the slot and the fork.
#pragma once

#include <atomic>
#include <optional>

#include "src/vms/client_watch.hpp"
#include "src/vms/conversation.hpp"
#include "src/vms/guest_stack.hpp"
#include "src/vms/program_fork.hpp"
#include "src/vms/spin.hpp"
#include "src/vms/vm_slot.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

class GuestRunner {
  public:
    GuestRunner(VmSlot& slot, ProgramFork& fork) : slot_(slot), fork_(fork) {}
    GuestRunner(const GuestRunner&) = delete;
    GuestRunner& operator=(const GuestRunner&) = delete;

    // --- For the holder of the lease
    // Blocks until the conversation is a step further: answered, or a piece of a body on. Interrupts the guest when the
    // client has gone.
    void run(Conversation& conversation, GuestWork work, const IsClientGone& gone);
    // Resets the fork on this thread. Throws Failure (host_error); there is no fork then.
    void reset_here();

    // --- For the VM's thread
    // Makes the guest enter the place where it waits for calls, when that pays now. False: requests will wake this
    // thread. `leftover` is what the last request left in the VM.
    bool prepare_to_wait(Leftover leftover);
    // Enters it, and stays there until it has left; finishes what it was called for meanwhile, if need be.
    void wait_inside();
    // Runs the guest for what run() was asked.
    void perform();

  private:
    void run_here(const IsClientGone& gone);
    void run_on_thread(const IsClientGone& gone) { slot_.await_thread(gone); }
    void run_inside(const IsClientGone& gone);
    bool call_inside();
    std::optional<Stop> listen(Clock::time_point until);

    VmSlot& slot_;
    ProgramFork& fork_;
    GuestStack stack_;  // of the holder while it runs the guest
    // What the guest runs for. Set by the holder before it is the turn of the thread that runs the guest.
    Conversation* conversation_ = nullptr;
    GuestWork work_ = GuestWork::request;

    // A call inside the guest has two threads at it: the holder, and the VM's in KVM_RUN. The holder has this mutex
    // from its call until it listens no more. It is taken before the mutex of the slot.
    Mutex mailbox_mutex_;
    bool answered_inside_ TINYKVM_GUARDED_BY(mailbox_mutex_) = false;
    Clock::time_point called_at_ TINYKVM_GUARDED_BY(mailbox_mutex_);
    std::atomic<bool> guest_left_{false};  // the holder need not listen any more
    SpinPermit spin_permit_;
};

}  // namespace tinykvm::host
