// How a program with callbacks is called for a request: by the callback that is meant for such a request, once for each
// piece of its body when the program takes it like that, or by letting a paused program go on. The same for a request
// of a client in a fork, and for one that warms the program up in its machine.
//
// Thread safety: one thread at a time, that which runs the guest. Borrows everything.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "src/calls/call_plan.hpp"
#include "src/calls/guest_calls.hpp"
#include "src/calls/registration.hpp"
#include "src/calls/request.hpp"
#include "src/calls/request_layout.hpp"
#include "src/calls/response.hpp"
#include "src/vms/protocol_call.hpp"
#include "tinykvm/callable.hpp"
#include "tinykvm/fork.hpp"

namespace tinykvm::host {

class ProgramCall final : public ProtocolCall {
  public:
    // The `request` is laid out by begin(), or by the caller.
    ProgramCall(Callable& guest, const Registration& registration, GuestCalls& calls, RequestLayout& layout,
                const Request& request)
        : guest_(guest), registration_(registration), calls_(calls), layout_(layout), request_(request) {}

    // --- A conversation
    void begin() override;
    std::size_t body_room() const override;
    bool append_body(std::span<const std::byte>& data) override;
    void start() override;
    std::optional<Response> give_piece(Deadline deadline) override;
    Response expect_answer(Deadline deadline) override { return expect_answer(call(deadline)); }
    std::optional<std::span<const std::byte>> host_body() const override { return std::nullopt; }

    // --- Its steps
    // Has it a callback for such a request, or needs none?
    bool can_call() const { return is_paused() || plan(); }
    // Calls the program for the request. Throws what a run throws, Failure (unsupported) when it has no callback for
    // such a request, and Failure (invalid_answer) when it does something a program must not do.
    Stop call(Deadline deadline);
    // Calls one callback, whichever it is.
    Stop call(const CallPlan& plan, Deadline deadline);
    // The program was called for the request inside its guest, and stopped like this. Calls it again if need be.
    Stop go_on(Stop stop, Deadline deadline);
    // Lets a paused program that has answered go on, to where it waits for the next request. False: it does not wait.
    bool return_to_waiting_call(Deadline deadline);

    // The answer of the guest, which stopped like this; nullopt when it gave none.
    std::optional<Response> answer(const Stop& stop) const;
    // The same; throws Failure when there is none.
    Response expect_answer(const Stop& stop) const;

    // --- A guest that is called where it waits inside `fork` (`poll`).
    // Brings it the call for the request. False: it has to be called in another way, which may say what is wrong.
    bool post(Fork& fork, Deadline deadline);
    // It has taken all of the body, and is to be called for its end, with post(): that is laid out now.
    bool lay_out_end_of_body(const Stop& stop);

  private:
    // Does the program take bodies in pieces? A callback for any request gets the whole body.
    bool takes_body_in_pieces() const;
    Stop call_with_piece(Deadline deadline);
    bool is_paused() const { return registration_.waiting == Registration::Waiting::paused; }
    std::optional<CallPlan> plan() const { return plan_call(registration_, request_.method, layout_.laid_out()); }
    bool wants_more(const Stop& stop) const;
    bool has_taken_all(const Stop& stop) const;
    Stop give_rest(Stop stop, Deadline deadline);
    void write_paused_request();

    Callable& guest_;
    const Registration& registration_;
    GuestCalls& calls_;
    RequestLayout& layout_;
    const Request& request_;
    std::size_t body_bytes_sent_ = 0;  // with the last call
};

}  // namespace tinykvm::host
