// A VM made from a Snapshot, for one request at a time. Life: fork -> call -> reset -> call -> ...
//
// Owns its VM and memory, and keeps its snapshot alive. Thread safety: any thread, one at a time, except as "Calls
// without entering" says.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/host_calls.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/run.hpp"
#include "tinykvm/snapshot.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class Guest;
namespace debug {
class Debugger;
}

class Fork {
  public:
    // Throws MachineError when the host is out of something.
    explicit Fork(std::shared_ptr<const Snapshot> snapshot);
    ~Fork();
    // True when each call may come from another thread at no cost. Kernels before 6.13 take milliseconds for the
    // change.
    static bool changes_threads_freely();
    Fork(Fork&&) noexcept;
    Fork& operator=(Fork&&) noexcept;

    // Calls `function` in the guest with up to six integer arguments, on a fresh stack below the one the
    // snapshot was taken on. Returns when `calls` stops the guest, the program exits or the function returns.
    // Throws GuestFault, Timeout, Interrupted, OutOfMemory ("max_request_memory"), or what `calls` throws. After any of
    // them, and after every Stop, the fork can be reset.
    Stop call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline);

    // Calls `function` while the guest stands in a host call, below what that has on its stack. resume() goes on
    // after the host call as if nothing had been called. Otherwise like call().
    Stop call_on_top(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline);

    // Lets the guest go on after the host call it stopped in (in the snapshot: the one it was frozen in),
    // with `result` as the call's value. Otherwise like call().
    Stop resume(std::int64_t result, HostCalls& calls, Deadline deadline);

    // Lets the guest go on that stopped with Stop::Reason::needs_input, now that Options::input has something, or
    // at_entry; or was frozen like that. Otherwise like call().
    Stop go_on(HostCalls& calls, Deadline deadline);

    // --- Calls without entering
    //
    // Entering and leaving a guest is most of what a short call costs. A fork can be entered ahead of its call and
    // wait for it inside, spinning; the call and its answer then go through shared memory. Two threads take part:
    //
    //   the thread that runs the fork        the thread that has a call
    //   prepare_wait(), wait_for_call() ...  post() or post_result()
    //                                        poll_call() until it has a Stop, or disable_mailbox() and wait elsewhere
    //                                        post() again, or release_after_call()
    //   ... which returns                    memory()
    //   reset()
    //
    // Host calls of a program that kvm_api.h compiled are posted while a thread listens, and are handled by the
    // thread that calls poll_call(); everything else the guest does leaves it and is handled by wait_for_call().

    // Between calls: the next wait_for_call() enters a guest that waits for at most `wait` until it leaves by
    // itself. False when this host cannot (guests have no time-stamp counter), or a result is awaited by a program that
    // does not call the host as kvm_api.h does; nothing has changed then.
    bool prepare_wait(Awaits awaits, std::chrono::microseconds wait);
    // Enters the guest, and stays until it has left. nullopt: there was no call (any more), and it is as it was before.
    // Otherwise returns and throws what call() would, or returns what poll_call() did.
    std::optional<Stop> wait_for_call(HostCalls& calls);

    // As call(), but does not wait for its end. False when the guest does not wait for a call, and was not stopped by
    // poll_call(); nothing has happened then.
    bool post(GuestAddr function, std::span<const std::uint64_t> arguments, Deadline deadline);
    // The same for resume().
    bool post_result(std::int64_t result, Deadline deadline);
    // Handles one posted call of the guest, if there is one. Returns how the guest has stopped, when the call stopped
    // it and it is within its limits; the guest then stays where it is. What `calls` throws, wait_for_call() throws on
    // the other thread.
    std::optional<Stop> poll_call(HostCalls& calls);
    // Lets a guest that poll_call() stopped leave, or, after post(), wait for another call for so long. (It may do
    // neither, and go on in its memory, until it is made to after 0.1 s.)
    void release_after_call(std::optional<std::chrono::microseconds> wait_again);
    // From now on all host calls leave the guest. A call that was posted before may still be there, so poll_call() has
    // to be called once more.
    void disable_mailbox();
    // Makes a guest that waits leave.
    void wake();

    // Ends the locks of files the guest took since it was equal to its snapshot. reset() does that, too; this is for
    // an answer that others may see before. Between calls, or while the guest waits after poll_call().
    void release_locks();

    // Adds bytes to the end of an in-memory file of the guest, which is made if it is not there. Returns 0 or a
    // negative errno: -ENOSPC without room, -EROFS where no in-memory file can be.
    [[nodiscard]] int append_to_file(const std::string& path, std::span<const std::byte> bytes);
    // Puts what is in an in-memory file of the guest into `bytes`. Returns 0 or a negative errno: -EFBIG when that is
    // more than `most` bytes.
    [[nodiscard]] int read_file(const std::string& path, std::size_t most, std::vector<std::byte>& bytes);

    // The debugger, which must outlive this, is asked as debug/debugger.hpp says, `start` excepted. While it has the
    // program, the deadline of a call is put off. What it changes stays in this fork, which reset() then makes anew.
    void set_debugger(debug::Debugger& debugger);
    // The program leaves its hands, if it is in them. Between calls.
    void end_debugging();
    // Has it changed anything since the fork was equal to the snapshot?
    bool changed_by_debugger() const;
    // How much time a debugger has had this fork, since it was made or made anew.
    Clock::duration debugged_time() const;

    // Makes the fork equal to its snapshot: memory, mappings, registers, vector state, files, everything.
    // Throws MachineError when that fails; the fork must then be destroyed (its statistics can still be read).
    void reset();

    // The same when that takes no system call and a few microseconds at most, as after a short orderly call. False:
    // nothing has changed, and reset() is the way.
    bool reset_if_quick();

    // After a call that ended with an exception (`crashed`: with GuestFault): makes the guest fit to be called again,
    // without undoing anything. Its memory, files and other threads are as the call left them; what it had on its stack
    // is lost, with the mutexes it held. After OutOfMemory calls go on that need no more memory. False when that cannot
    // be done, as when another thread than the one that is called has crashed: then only reset() helps. Throws
    // MachineError, and the fork must then be destroyed.
    bool recover(bool crashed);

    // Guest memory between calls: requests are laid out in it, answers are taken out of it. What the host
    // writes is undone by reset() like what the guest writes.
    GuestMemory& memory();
    // Zero after reset.
    RequestArea request_area() const;

    const Statistics& statistics() const;
    const Snapshot& snapshot() const;

    // May be called by any thread while another one is in call(), resume() or wait_for_call(): that ends soon, a call
    // with Interrupted.
    void interrupt() noexcept;

  private:
    std::shared_ptr<const Snapshot> snapshot_;
    std::unique_ptr<Guest> guest_;  // null after a reset that failed
    Statistics statistics_;         // of the last guest, while there is none
    debug::Debugger* debugger_ = nullptr;
};

}  // namespace tinykvm
