// One fork of a program, and a thread for what is not the time of a client.
//
// The caller lays its request out in guest memory, has the guest run, takes the answer straight out of guest memory and
// gives the VM back. The guest runs on the caller's thread, on a stack of the VM's, because the threads of a server may
// have small ones. Where a vCPU that changes threads is dear (kernels before 6.13) it runs on the VM's thread instead,
// and the request changes hands twice. That thread also builds the fork, waits inside the guest (`poll`), and resets
// the fork when that is more than copying a few pages.
//
// Thread safety: see the groups below. The pool owns it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/counter_sink.hpp"
#include "src/base/failure.hpp"
#include "src/base/thread.hpp"
#include "src/calls/call_plan.hpp"
#include "src/calls/guest_calls.hpp"
#include "src/calls/guest_output.hpp"
#include "src/calls/request.hpp"
#include "src/calls/request_layout.hpp"
#include "src/calls/response.hpp"
#include "src/vms/booted_program.hpp"
#include "src/vms/client_watch.hpp"
#include "src/vms/guest_stack.hpp"
#include "src/vms/program_statistics.hpp"
#include "src/vms/spin.hpp"
#include "src/vms/vm_life.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

// What became of a request.
struct Outcome {
    bool answered = false;
    Response response;              // when answered
    std::vector<Failure> failures;  // what went wrong, in order; a second chance may still have answered
    std::vector<std::string> log;   // lines the program (or we about it) logged
};

class RequestVm {
  public:
    // Where a VM belongs. Called on its thread, without its mutex.
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
    void reserve();
    MachineStatistics& statistics() { return counters_; }
    // What it does now. For a process that panics: waits for no mutex; nullopt when that of the VM is held.
    std::optional<VmState> state_unless_locked() noexcept;
    // Ends the thread as soon as nobody holds the VM.
    void retire();
    // The same, and interrupts a guest that runs. May be repeated.
    void shut_down();

    // Ends what the guest is doing, if it runs; may be lost in the instant before that, so repeat it.
    void interrupt(FailureKind why);

    // --- For the holder of the lease, in this order
    // Everything but the body. Borrows the request until run() is over. Throws Failure (too_large, host).
    void begin(const Request& request);
    // How much more body the request may have.
    std::size_t body_room() const { return streams_body() ? SIZE_MAX : layout_.room(); }
    // Runs the guest now and then when it takes the body in pieces; what is wrong with it then is for run() to say.
    void append_body(std::span<const std::byte> data);
    // Blocks until the request is answered or has failed.
    Outcome run(const IsClientGone& gone);
    // The answer's body from `offset` on, as much as is contiguous; empty at its end. Runs the guest when it makes the
    // body in pieces; then only what has not been given yet, or was given last, is to be had. Throws Failure.
    std::span<const std::byte> body(const Response& response, std::size_t offset);
    // What the program logged since run(), or since the last call.
    std::vector<std::string> take_log();
    void release();

  private:
    // What the guest is to run for.
    enum class Work {
        request,
        body_piece,     // of the request, for a program that takes it in pieces
        response_piece  // of the answer
    };
    bool streams_body() const;
    void start();
    void undo_soft_reset();
    void execute(Work work, const IsClientGone& gone);
    void run_body_piece();
    std::span<const std::byte> streamed_body(const Response& response, std::size_t offset);
    void run_here(const IsClientGone& gone);
    void run_on_thread(const IsClientGone& gone);
    bool call_inside_guest();
    bool post_inside_guest(Deadline deadline);
    std::optional<Stop> listen(Clock::time_point until);
    void conclude_inside_guest(bool waits_again) TINYKVM_REQUIRES(inside_);
    bool take_answer();
    void finish_outcome();
    void end_locks();
    bool needs_its_thread() const TINYKVM_REQUIRES(mutex_);

    void thread_main();
    bool build(std::string& why);
    bool prepare_to_wait();
    void wait_inside_guest();
    bool serve_until_used(std::string& why);
    void serve();
    template <typename Answer>
    void conclude(Answer answer);
    template <typename Run>
    void conclude_piece(VmState next, Run run);
    void answer_request();
    Stop call_stream_post();
    void take_body_piece();
    void call_for_piece();
    void write_paused_request();
    bool wants_more(const Stop& stop) const;
    bool says_what_it_takes() const;
    bool has_taken_all(const Stop& stop) const;
    Stop give_rest(Stop stop);
    void finish_call(Stop stop);
    Deadline deadline() const { return Clock::now() + time_left_; }
    void answer_after_failure(const std::string& what);
    bool answer_by_handler(const std::string& what);
    void answer_with_kept_body();
    bool lacks_body() const;
    void record_failure(const std::exception_ptr& thrown);
    template <typename Run>
    Stop run_guest(Run run);
    bool waits_paused() const { return program_->registration.waiting == Registration::Waiting::paused; }
    Stop call(const CallPlan& planned, Deadline deadline);
    void require_answer(const Stop& stop);
    bool recycle(std::string& why, bool is_last);
    void return_to_wait();
    void renew();
    void count_statistics();
    void note_kept_memory();
    void note_time();

    const std::shared_ptr<const BootedProgram> program_;
    MachineStatistics counters_;
    Observer& observer_;

    Mutex mutex_;
    CondVar changed_;
    VmLife life_ TINYKVM_GUARDED_BY(mutex_);
    bool closing_ TINYKVM_GUARDED_BY(mutex_) = false;
    bool guest_runs_ TINYKVM_GUARDED_BY(mutex_) = false;
    bool runs_here_ TINYKVM_GUARDED_BY(mutex_) = false;     // the holder's thread runs the guest, not ours
    bool inside_guest_ TINYKVM_GUARDED_BY(mutex_) = false;  // the thread is, or goes there
    bool leaves_guest_ TINYKVM_GUARDED_BY(mutex_) = false;  // the thread does, answered: it cannot be called there
    SpinTime spin_time_ TINYKVM_GUARDED_BY(mutex_);
    Clock::time_point idle_since_ TINYKVM_GUARDED_BY(mutex_);
    std::optional<ServedRequest> served_ TINYKVM_GUARDED_BY(mutex_);  // while somebody holds the VM
    std::optional<FailureKind> interrupted_ TINYKVM_GUARDED_BY(mutex_);

    // Whose turn it is follows from the state: the thread's in building, running and resetting, else the
    // holder's.
    std::unique_ptr<Fork> fork_;
    GuestCalls calls_;
    GuestOutput output_;
    RequestLayout layout_;
    Request request_;
    bool keeps_body_ = false;
    std::vector<std::byte> kept_body_;  // as it came, for a second chance
    bool answers_with_kept_body_ = false;
    bool ran_ = false;  // the guest, since it was last fit for a request
    bool must_reset_ = false;
    bool soft_left_ = false;   // it is idle, but as a request with soft_reset left it; not entered ahead of a request
    Clock::time_point began_;  // the last request
    Outcome outcome_;
    std::chrono::microseconds time_allowed_{0};  // max_request_time, or that of the error handler
    std::chrono::microseconds time_left_{0};     // of these; it counts while the guest runs
    Clock::time_point posted_;                   // the last call inside the guest
    Work work_ = Work::request;
    bool started_ = false;              // the guest has heard of the request
    std::exception_ptr piece_failure_;  // of the last piece
    std::size_t given_ = 0;             // bytes of the body, with the last call
    // Of an answer that the guest makes in pieces: the one it made last, and where it is in the body.
    struct Piece {
        std::size_t offset = 0, size = 0;
        GuestAddr address = 0;
    };
    Piece piece_;
    Response::Stream stream_;
    std::array<std::size_t, 2> stream_wanted_{};  // the most it may make now, the size of it all
    Statistics counted_;                          // of fork_, already added to counters_

    // A request that is called inside the guest (`poll`): its holder and the thread in KVM_RUN are both at it.
    // Held by the holder from its call until it listens no more.
    Mutex inside_ TINYKVM_ACQUIRED_BEFORE(mutex_);
    std::atomic<bool> guest_left_{false};  // the holder need not listen any more
    bool answered_inside_ TINYKVM_GUARDED_BY(inside_) = false;
    SpinPermit spin_permit_;

    GuestStack stack_;  // of the holder while it runs the guest
    Thread thread_;     // last: everything above is there when it starts
};

}  // namespace tinykvm::host
