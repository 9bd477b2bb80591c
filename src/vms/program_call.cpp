#include "src/vms/program_call.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/vms/body_piece.hpp"

namespace tinykvm::host {

void ProgramCall::begin() { layout_.begin(guest_.memory(), guest_.request_area(), request_); }

std::size_t ProgramCall::body_room() const { return takes_body_in_pieces() ? SIZE_MAX : layout_.room(); }

bool ProgramCall::append_body(std::span<const std::byte>& data) {
    if (!takes_body_in_pieces()) {
        layout_.append_body(std::exchange(data, {}));
        return false;
    }
    const std::size_t size = std::min<std::size_t>(data.size(), request_piece_size - layout_.request().content_len);
    layout_.append_body(data.first(size));
    data = data.subspan(size);
    return layout_.request().content_len == request_piece_size;
}

void ProgramCall::start() { layout_.finish(); }

std::optional<Response> ProgramCall::give_piece(Deadline deadline) {
    const Stop stop = call_with_piece(deadline);
    if (stop.reason != Stop::Reason::returned) {
        return expect_answer(stop);
    }
    layout_.next_body_piece();
    return std::nullopt;
}

bool ProgramCall::takes_body_in_pieces() const {
    return !is_paused() && registration_.callback(abi::Callback::request) == 0 &&
           registration_.callback(abi::Callback::stream_post) != 0;
}

Stop ProgramCall::call(Deadline deadline) {
    if (is_paused()) {
        write_paused_request();
        return go_on(guest_.resume(0, calls_, deadline), deadline);
    }
    const auto planned = plan();
    if (!planned) {
        throw Failure(FailureKind::unsupported,
                      "the program has no callback for " + printable(request_.method, 20) +
                          (layout_.request().content_len != 0 ? " with a body" : " without a body"));
    }
    return go_on(call(*planned, deadline), deadline);
}

Stop ProgramCall::call(const CallPlan& planned, Deadline deadline) {
    body_bytes_sent_ = layout_.request().content_len;
    return guest_.call(registration_.callback(planned.callback), planned.list(), calls_, deadline);
}

// Calls the program with the piece that is laid out. At the end of the body the piece is empty, and the call may be one
// of the callback that answers.
Stop ProgramCall::call_with_piece(Deadline deadline) { return give_rest(call(*plan(), deadline), deadline); }

// Writes the request to where a paused program wants it.
void ProgramCall::write_paused_request() {
    const GuestAddr wanted_at = calls_.registration().paused_request;
    if (!guest_.memory().write(wanted_at, layout_.request())) {
        throw Failure(FailureKind::invalid_answer,
                      "the request of wait_for_requests_paused at " + hex(wanted_at) + " is not writable");
    }
}

// Has a program that takes the body in pieces returned for the next one? It is also called for the end of the body.
bool ProgramCall::wants_more(const Stop& stop) const {
    return stop.reason == Stop::Reason::returned && takes_body_in_pieces() && body_bytes_sent_ != 0;
}

// Where another callback answers, the one for the pieces returns how many bytes it took. Otherwise what it returns
// means nothing.
bool ProgramCall::has_taken_all(const Stop& stop) const {
    return registration_.callback(abi::Callback::post) == 0 || stop.values[0] == body_bytes_sent_;
}

// Calls the guest, which was called with a piece and stopped like this, until it has taken all of that piece.
Stop ProgramCall::give_rest(Stop stop, Deadline deadline) {
    while (wants_more(stop) && !has_taken_all(stop)) {
        const auto taken = static_cast<std::int64_t>(stop.values[0]);
        if (taken <= 0 || static_cast<std::uint64_t>(taken) > body_bytes_sent_) {
            throw Failure(FailureKind::invalid_answer, "the callback for pieces of the body returned " +
                                                           std::to_string(taken) + " for " +
                                                           std::to_string(body_bytes_sent_) +
                                                           " bytes; it returns how many of them it took, at least one");
        }
        layout_.skip_body(static_cast<std::size_t>(taken));
        stop = call(*plan(), deadline);
    }
    return stop;
}

Stop ProgramCall::go_on(Stop stop, Deadline deadline) {
    stop = give_rest(stop, deadline);
    while (wants_more(stop)) {
        layout_.next_body_piece();
        stop = call_with_piece(deadline);
    }
    return stop;
}

bool ProgramCall::return_to_waiting_call(Deadline deadline) {
    calls_.begin_return();
    const Stop stop = guest_.resume(0, calls_, deadline);
    return stop.reason == Stop::Reason::host_call && calls_.waits();
}

std::optional<Response> ProgramCall::answer(const Stop& stop) const {
    if (stop.reason != Stop::Reason::host_call || !calls_.response()) {
        return std::nullopt;
    }
    return std::move(calls_.response());
}

Response ProgramCall::expect_answer(const Stop& stop) const {
    std::optional<Response> response = answer(stop);
    if (!response) {
        throw failure_for(stop);
    }
    return *std::move(response);
}

bool ProgramCall::post(Fork& fork, Deadline deadline) {
    try {
        if (is_paused()) {
            write_paused_request();
            return fork.post_result(0, deadline);
        }
        const auto planned = plan();
        if (!planned || !fork.post(registration_.callback(planned->callback), planned->list(), deadline)) {
            return false;
        }
        body_bytes_sent_ = layout_.request().content_len;
        return true;
    } catch (const std::exception&) {
        return false;  // the same happens again in an ordinary call, which reports it
    }
}

bool ProgramCall::lay_out_end_of_body(const Stop& stop) {
    if (!wants_more(stop) || !has_taken_all(stop)) {
        return false;
    }
    layout_.next_body_piece();
    return true;
}

}  // namespace tinykvm::host
