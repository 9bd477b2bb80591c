// One request and its answer: made when a request is begun in a VM, gone when the VM is given back.
//
// It lays the request out, calls the program, gives it a second chance when it fails, and has the answer in the end.
// Which thread runs the guest, and how it is entered, is the business of GuestRunner.
//
// Thread safety: one thread at a time, that whose turn it is (src/vms/vm_life.hpp). A RequestVm owns it; borrows the
// fork and the slot, and until the request is answered what the request refers to.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/failure.hpp"
#include "src/calls/request.hpp"
#include "src/calls/response.hpp"
#include "src/vms/exchange.hpp"
#include "src/vms/filter_call.hpp"
#include "src/vms/kept_body.hpp"
#include "src/vms/program_call.hpp"
#include "src/vms/program_fork.hpp"
#include "src/vms/response_pieces.hpp"
#include "src/vms/server_call.hpp"
#include "src/vms/time_budget.hpp"
#include "src/vms/timed_fork.hpp"
#include "src/vms/vm_life.hpp"
#include "src/vms/vm_slot.hpp"

namespace tinykvm::host {

// What became of a request.
struct Outcome {
    bool answered = false;
    Response response;              // when answered
    std::vector<Failure> failures;  // what went wrong, in order; a second chance may still have answered
    std::vector<std::string> log;   // lines that the program logged, or the host about it
};

// What the guest runs for.
enum class GuestWork {
    request,
    body_piece,      // of the request, for a program that takes it in pieces
    response_piece,  // of the answer
    exchange         // of bytes with the client, after an answer with the status 101
};

class Conversation {
  public:
    // `buffer`: see KeptBody.
    Conversation(ProgramFork& fork, VmSlot& slot, const Request& request, std::vector<std::byte> buffer);
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    // --- For the holder of the lease, in this order
    // Everything but the body. Throws Failure (too_large, host_error).
    void begin();
    // How many more bytes of body the request may have.
    std::size_t body_room() const;
    // Keeps a part of the body for a second chance.
    void keep_body(std::span<const std::byte> data);
    // Lays out a part of the body, which is taken from the front of `data`. True: the guest has to take a piece of the
    // body before there can be more.
    bool append_body(std::span<const std::byte>& data);
    // The guest is about to be called for the request; may be repeated.
    void start();
    Outcome take_outcome();
    // Has the guest to make a piece of the answer before there is something at `offset`?
    bool needs_response_piece(const Response& response, std::size_t offset);
    // The guest was run for the piece. Throws Failure when it could not be made.
    void expect_response_piece();
    // The guest is about to be run for it.
    void begin_exchange(Exchange& exchange);
    // The guest was run. Throws Failure when it cannot go on.
    void expect_exchange();
    // See RequestVm::body().
    std::span<const std::byte> body(const Response& response, std::size_t offset);
    Leftover leftover() const { return leftover_; }
    std::vector<std::byte> take_buffer() { return kept_body_.take_buffer(); }

    // --- For the thread that runs the guest. These do not throw, and return the state that follows.
    VmState perform(GuestWork work);
    // The guest was called inside, where it waited, and left with this stop or this exception. Goes on to the answer.
    VmState perform_rest(const std::optional<Stop>& stop, const std::exception_ptr& thrown);

    // --- For a call inside the guest (GuestRunner::run_inside)
    ProgramCall& program_call() { return program_call_; }  // of a program with callbacks
    TimeBudget& time() { return time_; }
    // The guest has answered, and ran since `begin`.
    void complete_inside(Response response, Clock::time_point begin);

  private:
    template <typename Answer>
    VmState answer_with(Answer answer);
    Response expect_answer();
    void make_response_piece();
    void throw_failure_of_piece();
    void complete_request();
    void set_answer(Response response);
    void record_failure(const std::exception_ptr& thrown);
    void answer_after_failure(const std::string& what);
    bool answer_by_handler(const std::string& what);
    void answer_with_kept_body();

    ProgramFork& fork_;
    VmSlot& slot_;
    const Request request_;  // soft_reset only where that is possible
    TimeBudget time_;
    TimedFork guest_;
    ProgramCall program_call_;
    std::optional<FilterCall> filter_call_;  // of a program with the protocol stdio
    std::optional<ServerCall> server_call_;  // of a program with the protocol http
    ProtocolCall& call_;                     // the one of them that the program has
    ResponsePieces response_pieces_;
    KeptBody kept_body_;
    // Of the answer, when it is not in the guest's memory.
    std::optional<std::span<const std::byte>> host_body_;
    Outcome outcome_;
    std::optional<Clock::time_point> started_at_;  // when the guest was first called for the request
    std::exception_ptr piece_failure_;             // of the last piece of either body, or exchange
    Exchange* exchange_ = nullptr;                 // what the guest runs for
    Leftover leftover_;
};

}  // namespace tinykvm::host
