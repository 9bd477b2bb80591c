// One VM of a program, for one request at a time: its fork, whose turn it is, the conversation of the request, and a
// thread for what is not the time of a client. That thread makes the fork, waits inside the guest (`poll`), and resets
// the fork when that is more than copying a few pages.
//
// A request goes through begin(), append_body(), run(), body() and release(), in this order and in request_vm.cpp.
//
// Thread safety: see the groups below. The pool owns it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/thread.hpp"
#include "src/calls/request.hpp"
#include "src/calls/response.hpp"
#include "src/vms/booted_program.hpp"
#include "src/vms/client_watch.hpp"
#include "src/vms/conversation.hpp"
#include "src/vms/exchange.hpp"
#include "src/vms/guest_runner.hpp"
#include "src/vms/program_fork.hpp"
#include "src/vms/program_statistics.hpp"
#include "src/vms/vm_slot.hpp"

namespace tinykvm::host {

class RequestVm {
  public:
    // What a VM reports to, which is its pool. Called without any mutex of the VM's, by its thread or by that of its
    // holder.
    class Observer {
      public:
        virtual void vm_idle(RequestVm& vm) = 0;
        // Its thread ends. `why` is empty when that was asked for.
        virtual void vm_withdrawn(RequestVm& vm, const std::string& why) = 0;

      protected:
        ~Observer() = default;
    };

    // Starts the thread, which makes the fork and reports to `observer`. Throws Failure (host_error).
    RequestVm(std::shared_ptr<const BootedProgram> program, ProgramStatistics& statistics, Observer& observer);
    ~RequestVm();  // joins; the VM must have been told to shut down, or be withdrawn
    RequestVm(const RequestVm&) = delete;
    RequestVm& operator=(const RequestVm&) = delete;

    // --- For the pool, any thread
    // Hands it out; it is idle.
    void reserve() { slot_.reserve(); }
    MachineStatistics& statistics() { return fork_.statistics(); }
    // What it does now. For a process that panics: waits for no mutex; nullopt when that of the VM is held.
    std::optional<VmState> state_unless_locked() noexcept { return slot_.state_unless_locked(); }
    // Ends the thread as soon as the VM is not leased.
    void retire() { slot_.retire(); }
    // The same, and interrupts a guest that runs. May be repeated.
    void shut_down();

    // Ends what the guest is doing, if it runs; may be lost in the instant before that, so it has to be repeated. Any
    // thread.
    void interrupt(FailureKind why) { slot_.interrupt(why); }

    // --- For the holder of the lease, in this order
    // Everything but the body. Borrows the request until run() is over. Throws Failure (too_large, host_error).
    void begin(const Request& request);
    // How many more bytes of body the request may have.
    std::size_t body_room() const { return conversation_->body_room(); }
    // Runs the guest now and then when it takes the body in pieces; what is wrong with it then is for run() to say.
    void append_body(std::span<const std::byte> data);
    // Blocks until the request is answered or has failed.
    Outcome run(const IsClientGone& gone);
    // The answer's body from `offset` on, as much as is contiguous; empty at its end. Runs the guest when it makes the
    // body in pieces; then there is only what has not been given yet, or was given last. Throws Failure.
    std::span<const std::byte> body(const Response& response, std::size_t offset);
    // After an answer with the status 101, instead of body(): a step of what follows. The time that the program may
    // compute is counted from one wait for its client to the next. Throws Failure.
    void exchange(Exchange& exchange, const IsClientGone& gone);
    // What the program logged since run(), or since the last call.
    std::vector<std::string> take_log() { return fork_.take_log(); }
    // The end of the lease, with a request or without one.
    void release();

  private:
    void end_conversation();
    void thread_main();
    bool serve_until_used();
    void reset_after_request(bool is_last);
    void return_to_waiting_call();

    Observer& observer_;
    ProgramFork fork_;
    VmSlot slot_;
    GuestRunner runner_;
    std::optional<Conversation> conversation_;  // from begin() to release(); the holder's, and the thread's that runs
    std::vector<std::byte> body_buffer_;        // the memory of a KeptBody, for the next conversation
    // What the last conversation left, and has not been undone. The holder's when it gives the VM back, then the
    // thread's.
    Leftover leftover_ = Leftover::nothing;
    Thread thread_;  // last: everything above is there when it starts
};

}  // namespace tinykvm::host
