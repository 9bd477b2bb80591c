// Calls of a guest that is already entered and waits for them, through its mailbox; see Fork, "Calls without entering".
//
// Two threads take part: one is in KVM_RUN all the time (wait_for_call), the other brings a call (post) and looks for
// what the guest wants (poll_call). When the guest leaves during a call, for a system call or a fault, the first thread
// handles that, as in every run.
//
// Owned by Guest; borrows what it works on. Thread safety: the thread that holds mutex_ handles what the guest wants,
// and only that thread may use the guest's other parts meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>

#include "tinykvm/guest/exits.hpp"
#include "tinykvm/guest/further_vcpus.hpp"
#include "tinykvm/guest/snapshot_contents.hpp"
#include "tinykvm/guest/time_slices.hpp"
#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/guest/write_limit.hpp"
#include "tinykvm/host_calls.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/watchdog.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/os/mutex.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/run.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/x86/layout.hpp"
#include "tinykvm/x86/mailbox.hpp"

namespace tinykvm {

class MailboxCalls {
  public:
    // The parts of the guest that it works on. All of them must outlive this.
    struct Parts {
        kvm::Vcpu& vcpu;
        const x86::Platform& platform;
        GuestMemory& memory;
        UserContext& user;
        WriteLimit& writes;
        TimeSlices& slices;
        Exits& exits;
        Statistics& statistics;
        std::atomic<bool>& interrupted;  // set when the run is to end now
    };
    // `snapshot`: what the guest is a fork of, which must outlive this; null while a program boots, which cannot wait.
    MailboxCalls(const Parts& parts, const SnapshotContents* snapshot)
        : parts_(parts), snapshot_(snapshot), mailbox_(parts.memory.system_block() + x86::mailbox_offset) {}

    // The guest has further vCPUs, which must outlive this.
    void use_further_vcpus(FurtherVcpus& further) { further_ = &further; }

    // --- The thread that runs the guest

    bool prepare_wait(Awaits awaits, std::chrono::microseconds wait);
    std::optional<Stop> wait_for_call(HostCalls& calls);

    // --- The thread that has a call

    bool post(GuestAddr function, std::span<const std::uint64_t> arguments, Deadline deadline);
    bool post_result(std::int64_t result, Deadline deadline);
    std::optional<Stop> poll_call(HostCalls& calls);
    void release_after_call(std::optional<std::chrono::microseconds> wait_again);
    void release_locks();

    // --- Any thread

    void disable_mailbox() { mailbox_.listen(false); }
    void wake();

    // Removes everything from the mailbox. Only while the guest stands still.
    void clear() { mailbox_.clear(); }

  private:
    using Phase = x86::Mailbox::Phase;
    enum class Wait {
        none,       // not in wait_for_call(), or about to leave it
        waiting,    // there was no call yet
        called,     // the call runs
        completed,  // the call has ended in the mailbox, where the guest stays until it is told what to do
    };

    void wait_in_shim(std::chrono::microseconds wait) TINYKVM_REQUIRES(mutex_);
    bool hand_over(Phase phase, Deadline deadline) TINYKVM_REQUIRES(mutex_);
    std::optional<Stop> handle_posted(HostCalls& calls) TINYKVM_REQUIRES(mutex_);
    std::optional<Stop> handle_exit_of_call(const kvm::Exit& exit, const std::exception_ptr& run_failure,
                                            HostCalls& calls) TINYKVM_REQUIRES(mutex_);
    bool stays_entered(const kvm::Exit& exit) TINYKVM_REQUIRES(mutex_);
    std::optional<Stop> leave_without_call(const kvm::Exit& exit) TINYKVM_REQUIRES(mutex_);
    void return_to_host_call(bool called_out) TINYKVM_REQUIRES(mutex_);
    void leave() noexcept TINYKVM_REQUIRES(mutex_);

    // Members that both threads change with each call come first: their cache lines move from one CPU to the other.
    Mutex mutex_;
    Wait wait_ TINYKVM_GUARDED_BY(mutex_) = Wait::none;
    Awaits awaits_ TINYKVM_GUARDED_BY(mutex_) = Awaits::call;
    int called_on_ TINYKVM_GUARDED_BY(mutex_) = 0;  // the thread of the guest that runs the call
    Deadline call_deadline_ TINYKVM_GUARDED_BY(mutex_);
    // What poll_call() caught; the other thread throws it.
    std::exception_ptr call_failure_ TINYKVM_GUARDED_BY(mutex_);
    // Makes the guest leave: at the call's deadline, or when it waits too long.
    std::optional<kvm::Watch> watch_ TINYKVM_GUARDED_BY(mutex_);

    Stop completed_stop_ TINYKVM_GUARDED_BY(mutex_);  // how a call ended in the mailbox
    Registers resumed_ TINYKVM_GUARDED_BY(mutex_);    // what a guest that awaits a result goes on with

    Parts parts_;
    const SnapshotContents* snapshot_;
    FurtherVcpus* further_ = nullptr;  // null: there are none
    x86::Mailbox mailbox_;
};

}  // namespace tinykvm
