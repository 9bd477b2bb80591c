#include "src/vms/conversation.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/vms/failure_record.hpp"

namespace tinykvm::host {

namespace {

constexpr auto second_chance_time = std::chrono::seconds(1);

Counter counter_of_status(int status) {
    switch (status / 100) {
        case 1: return Counter::connections;
        case 2: return Counter::program_status_2xx;
        case 3: return Counter::program_status_3xx;
        case 4: return Counter::program_status_4xx;
        default: return Counter::program_status_5xx;
    }
}

// Has it no body, and a status that would have one?
bool lacks_body(const Response& response) {
    return response.body_size == 0 && response.status / 100 == 2 && response.status != 204 && response.status != 205;
}

// Only programs with callbacks have soft resets: a filter ends with its request.
Request as_served(const BootedProgram& program, Request request) {
    request.soft_reset = request.soft_reset && program.config.protocol == ProgramConfig::Protocol::callbacks;
    return request;
}

// How many bytes of a body are kept for a second chance; 0: no second chance needs them.
std::size_t kept_body_limit(const BootedProgram& program) {
    const bool has_handler = program.registration.callback(abi::Callback::on_error) != 0;
    const auto& attempts = program.config.on_error;
    const bool keeps = std::any_of(attempts.begin(), attempts.end(), [&](ProgramConfig::OnError attempt) {
        return attempt == ProgramConfig::OnError::original || has_handler;
    });
    return keeps ? program.config.max_request_memory : 0;
}

}  // namespace

Conversation::Conversation(ProgramFork& fork, VmSlot& slot, const Request& request, std::vector<std::byte> buffer)
    : fork_(fork),
      slot_(slot),
      request_(as_served(fork.program(), request)),
      time_(fork.program().config.max_request_time),
      guest_(fork, slot, time_),
      program_call_(guest_, fork.program().registration, fork.calls(), fork.layout(), request_),
      filter_call_(fork.program().config.protocol == ProgramConfig::Protocol::stdio
                       ? std::optional<FilterCall>(std::in_place, guest_, fork, request_)
                       : std::nullopt),
      server_call_(fork.program().config.protocol == ProgramConfig::Protocol::http
                       ? std::optional<ServerCall>(std::in_place, guest_, fork.calls(), fork.connection(), request_,
                                                   fork.program().config.max_request_memory)
                       : std::nullopt),
      call_(filter_call_   ? static_cast<ProtocolCall&>(*filter_call_)
            : server_call_ ? static_cast<ProtocolCall&>(*server_call_)
                           : program_call_),
      response_pieces_(fork.program().config.max_request_memory),
      kept_body_(kept_body_limit(fork.program()), std::move(buffer)),
      // Laying out the request changes memory before the guest runs.
      leftover_(fork.calls().is_ephemeral() ? Leftover::spoiled : Leftover::nothing) {}

void Conversation::begin() { call_.begin(); }

std::size_t Conversation::body_room() const { return call_.body_room(); }

void Conversation::keep_body(std::span<const std::byte> data) {
    fork_.statistics().add(Counter::input_bytes, data.size());
    if (!kept_body_.append(data)) {
        fork_.calls().note("the body of the request is too long to be kept for a second chance");
    }
}

bool Conversation::append_body(std::span<const std::byte>& data) {
    if (outcome_.answered || piece_failure_) {
        data = {};  // the program needs no more of it
        return false;
    }
    return call_.append_body(data);
}

void Conversation::start() {
    if (started_at_) {
        return;
    }
    call_.start();
    fork_.statistics().add(Counter::requests, 1);
    started_at_ = Clock::now();
    leftover_ = leftover_ == Leftover::nothing ? Leftover::kept : leftover_;
    fork_.calls().begin_request(request_);
}

VmState Conversation::perform(GuestWork work) {
    if (work == GuestWork::request) {
        return answer_with([this] {
            if (piece_failure_) {
                std::rethrow_exception(std::exchange(piece_failure_, nullptr));
            }
            if (!outcome_.answered) {  // the program may have answered before the end of the body
                set_answer(expect_answer());
            }
        });
    }
    try {
        if (work == GuestWork::body_piece) {
            // The program may answer before the end of the body.
            if (auto answer = call_.give_piece(time_.deadline())) {
                set_answer(*std::move(answer));
            }
        } else if (work == GuestWork::exchange) {
            server_call_->exchange(*exchange_, time_.deadline());
        } else {
            make_response_piece();
            if (response_pieces_.is_complete()) {
                fork_.end_locks();
            }
            if (call_.has_program_ended()) {
                leftover_ = Leftover::spoiled;
            }
        }
    } catch (...) {
        piece_failure_ = std::current_exception();
        leftover_ = Leftover::spoiled;
    }
    fork_.statistics().note_request_time(time_.spent());
    return work == GuestWork::body_piece ? VmState::reserved : VmState::answered;
}

// What a server that is not reset does after its answer is done in the next request, and is no fault of that.
Response Conversation::expect_answer() {
    try {
        return call_.expect_answer(time_.deadline());
    } catch (const std::exception&) {
        if (fork_.calls().is_ephemeral() || !server_call_ || !server_call_->may_ask_again()) {
            throw;
        }
    }
    fork_.calls().note("the server failed after its last answer, and is replaced");
    fork_.reset();
    return call_.expect_answer(time_.deadline());
}

void Conversation::make_response_piece() {
    if (const auto piece = call_.make_response_piece(time_.deadline())) {
        response_pieces_.take(*piece);
    } else {
        response_pieces_.make_next(guest_, fork_.calls(), time_.deadline());
    }
}

VmState Conversation::perform_rest(const std::optional<Stop>& stop, const std::exception_ptr& thrown) {
    return answer_with([&] {
        if (thrown) {
            std::rethrow_exception(thrown);
        }
        set_answer(program_call_.expect_answer(program_call_.go_on(*stop, time_.deadline())));
    });
}

// `answer` answers the request, or throws what ended it; there may be a second chance then.
template <typename Answer>
VmState Conversation::answer_with(Answer answer) {
    try {
        answer();
    } catch (...) {
        record_failure(std::current_exception());
        const Failure& first = outcome_.failures.back();
        if (is_program_failure(first.kind()) && first.kind() != FailureKind::unsupported) {
            answer_after_failure(std::string(to_string(first.kind())) + ": " + first.what());
        }
    }
    complete_request();
    return VmState::answered;
}

void Conversation::set_answer(Response response) {
    host_body_ = call_.host_body();
    outcome_.response = std::move(response);
    outcome_.answered = true;
}

void Conversation::complete_inside(Response response, Clock::time_point begin) {
    set_answer(std::move(response));
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    time_.spend(time);
    fork_.statistics().add(Counter::cpu_time, static_cast<std::uint64_t>(time.count()));
    complete_request();
}

// Everything that has to be true before the client can see its answer.
void Conversation::complete_request() {
    const Response& response = outcome_.response;
    MachineStatistics& statistics = fork_.statistics();
    outcome_.log = fork_.take_log();
    statistics.note_request_time(time_.spent());
    if (!outcome_.answered || !response.stream || response.body_size == 0) {
        fork_.end_locks();
    }
    const bool is_ephemeral = fork_.calls().is_ephemeral();
    const bool is_spoiled = !outcome_.failures.empty() || call_.has_program_ended();
    leftover_ = is_spoiled || (is_ephemeral && !request_.soft_reset) ? Leftover::spoiled
                : is_ephemeral                                       ? Leftover::soft
                                                                     : Leftover::kept;
    if (outcome_.answered) {
        statistics.add(counter_of_status(response.status), 1);
        if (!response.stream) {
            statistics.add(Counter::output_bytes, response.body_size);
        }
    }
}

Outcome Conversation::take_outcome() { return std::exchange(outcome_, {}); }

// --- Second chances

void Conversation::answer_after_failure(const std::string& what) {
    for (const auto attempt : fork_.program().config.on_error) {
        if (outcome_.answered && !lacks_body(outcome_.response)) {
            return;
        }
        if (attempt == ProgramConfig::OnError::handler) {
            outcome_.answered = answer_by_handler(what);
        } else if (!kept_body_.empty()) {
            if (outcome_.answered) {
                fork_.calls().note("the error handler answered without a body: the client gets that of the request");
            }
            answer_with_kept_body();
        }
    }
}

// The VM is reset, and the error handler gets the request as it came. False when it failed, too, or there is none.
bool Conversation::answer_by_handler(const std::string& what) {
    if (fork_.program().registration.callback(abi::Callback::on_error) == 0) {
        return false;
    }
    try {
        fork_.reset();
        fork_.statistics().note_request_time(time_.spent());
        time_ = TimeBudget(second_chance_time);
        begin();
        RequestLayout& layout = fork_.layout();
        layout.append_body(kept_body_.bytes());
        const GuestAddr text = layout.add_string(printable(what));
        layout.finish();
        fork_.calls().begin_request(request_);
        const abi::Request& request = layout.request();
        const CallPlan handler{abi::Callback::on_error, {request.url, request.arg, text, layout.request_address()}, 4};
        set_answer(program_call_.expect_answer(program_call_.call(handler, time_.deadline())));
        return true;
    } catch (...) {
        record_failure(std::current_exception());
        return false;
    }
}

void Conversation::answer_with_kept_body() {
    Response response;
    response.status = 200;
    response.content_type = request_.content_type;
    response.body_size = kept_body_.bytes().size();
    // The encoding of the body is still that of the request.
    for (const std::string_view line : request_.headers) {
        if (is_field(line, "Content-Encoding")) {
            response.headers.emplace_back(line);
        }
    }
    set_answer(std::move(response));
    host_body_ = kept_body_.bytes();
}

void Conversation::record_failure(const std::exception_ptr& thrown) {
    const bool is_second = !outcome_.failures.empty();
    outcome_.failures.push_back(failure_of({.thrown = thrown,
                                            .interrupted = slot_.interrupted(),
                                            .is_error_handler = is_second,
                                            .time_allowed = fork_.program().config.max_request_time}));
    MachineStatistics& statistics = fork_.statistics();
    const FailureKind kind = outcome_.failures.back().kind();
    if (is_program_failure(kind) && !is_second) {
        const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - *started_at_);
        statistics.add(Counter::exception_time, static_cast<std::uint64_t>(time.count()));
    }
    if (kind == FailureKind::timed_out) {
        statistics.add(Counter::program_timeout, 1);
    } else if (is_program_failure(kind)) {
        statistics.add(Counter::program_exception, 1);
    } else if (kind == FailureKind::client_gone || kind == FailureKind::shutting_down) {
        statistics.add(Counter::interrupted, 1);
    }
}

// --- The body of the answer

bool Conversation::needs_response_piece(const Response& response, std::size_t offset) {
    if (!response.stream || !response_pieces_.needs_next(response, offset)) {
        return false;
    }
    response_pieces_.request_next(response);
    return true;
}

void Conversation::throw_failure_of_piece() {
    if (piece_failure_) {
        record_failure(std::exchange(piece_failure_, nullptr));
        fork_.end_locks();
        throw Failure(outcome_.failures.back());
    }
}

void Conversation::expect_response_piece() {
    throw_failure_of_piece();
    fork_.statistics().add(Counter::output_bytes, response_pieces_.piece_size());
}

// A connection may last for hours, so its time is that from one wait of the server to the next.
void Conversation::begin_exchange(Exchange& exchange) {
    exchange_ = &exchange;
    if (exchange.waits) {
        time_ = TimeBudget(fork_.program().config.max_request_time);
    }
    fork_.statistics().add(Counter::input_bytes, exchange.input.size());
}

void Conversation::expect_exchange() {
    throw_failure_of_piece();
    fork_.statistics().add(Counter::output_bytes, exchange_->sent);
}

std::span<const std::byte> Conversation::body(const Response& response, std::size_t offset) {
    if (response.stream) {
        return response_pieces_.readable(fork_.get().memory(), offset);
    }
    if (offset >= response.body_size) {
        return {};
    }
    if (host_body_) {
        return host_body_->subspan(offset);
    }
    const auto piece = fork_.get().memory().readable(response.body + offset, response.body_size - offset);
    if (piece.empty()) {
        throw Failure(FailureKind::invalid_answer, "the body is not readable any more");
    }
    return piece;
}

}  // namespace tinykvm::host
