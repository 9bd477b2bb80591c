#include "src/vms/server_call.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/http_date.hpp"
#include "src/base/http_field.hpp"

namespace tinykvm::host {

namespace {

bool takes_body(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

}  // namespace

void return_to_waiting(Callable& guest, HostCalls& calls, Deadline deadline) {
    for (;;) {
        const Stop stop = guest.go_on(calls, deadline);
        if (stop.reason == Stop::Reason::needs_input) {
            return;
        }
        if (stop.reason != Stop::Reason::has_output) {
            throw Failure(FailureKind::no_answer, "the server did not wait for another request after its answer");
        }
    }
}

void ServerCall::begin() {
    announced_ = parse_length(field_value(request_.headers, "Content-Length").value_or(""));
    if (!request_.may_upgrade && field_value(request_.headers, "Upgrade")) {
        refuse(501, "another protocol than HTTP/1.1 is not supported here, only by a pipe");
    }
    const auto is_unfit = [](char c) { return c <= ' ' || c == '\x7f'; };
    if (std::any_of(request_.url.begin(), request_.url.end(), is_unfit)) {
        refuse(400, "the URL has a space or a control character");
    }
    if (!is_token(request_.method)) {
        refuse(400, "the method is no token");
    }
    if (!is_field_value(request_.argument) || !is_field_value(request_.content_type)) {
        refuse(400, "the argument or the content type has a control character");
    }
}

void ServerCall::refuse(int status, std::string why) {
    refusal_text_ = std::move(why) + "\n";
    refusal_.emplace();
    refusal_->status = status;
    refusal_->content_type = "text/plain";
    refusal_->body_size = refusal_text_.size();
}

// The head of the request, as RFC 9112 has it.
std::string ServerCall::head(bool is_last) const {
    std::string text = std::string(request_.method) + " ";
    text += request_.url.empty() || request_.url[0] != '/' ? "/" : "";
    text += std::string(request_.url) + " HTTP/1.1\r\n";
    bool has_host = false, has_type = false;
    for (const std::string_view line : request_.headers) {
        if (is_framing_field(name_of(line)) || is_field(line, "Expect")) {
            continue;
        }
        if (is_field(line, "Content-Type")) {
            has_type = true;
        }
        has_host |= is_field(line, "Host");
        text += std::string(line) + "\r\n";
    }
    if (!has_host) {
        text += "Host: localhost\r\n";
    }
    if (!has_type && !request_.content_type.empty()) {
        text += "Content-Type: " + std::string(request_.content_type) + "\r\n";
    }
    if (!request_.argument.empty()) {
        text += "X-Tinykvm-Argument: " + std::string(request_.argument) + "\r\n";
    }
    if (const auto protocol = field_value(request_.headers, "Upgrade"); protocol && request_.may_upgrade) {
        text += "Connection: Upgrade\r\nUpgrade: " + std::string(*protocol) + "\r\n";
    }
    if (in_chunks_) {
        text += "Transfer-Encoding: chunked\r\n";
    } else if (const std::uint64_t size = is_last ? piece_.bytes().size() : *announced_;
               size != 0 || takes_body(request_.method)) {
        text += "Content-Length: " + std::to_string(size) + "\r\n";
    }
    return text + "\r\n";
}

// Gives the server the piece of the body that there is.
void ServerCall::send(bool is_last) {
    const bool is_whole = is_last && !has_begun_;  // then its head has the length that there is
    sent_ += piece_.bytes().size();
    if (announced_ && !is_whole && (sent_ > *announced_ || (is_last && sent_ != *announced_))) {
        throw Failure(FailureKind::host_error, "the request says that its body has " + std::to_string(*announced_) +
                                                   " bytes, and it has " + (is_last ? "" : "at least ") +
                                                   std::to_string(sent_));
    }
    if (!has_begun_) {
        in_chunks_ = !is_last && !announced_;
        connection_.begin(head(is_last), answer_to(), most_early_);
        has_begun_ = true;
    }
    connection_.give(piece_.bytes(), in_chunks_, is_last);
}

ResponseParser::To ServerCall::answer_to() const {
    using To = ResponseParser::To;
    return request_.method == "HEAD" ? To::head : request_.may_upgrade ? To::upgrade : To::other;
}

bool ServerCall::may_ask_again() const { return is_whole_ && connection_.is_untouched(); }

std::optional<Response> ServerCall::give_piece(Deadline deadline) {
    if (refusal_) {
        piece_.clear();
        return *refusal_;
    }
    try {
        send(false);
        std::optional<Response> response = run(deadline);
        if (response) {  // the server may still take the rest of the piece
            piece_.end_loan();
            connection_.move_data(piece_.bytes());
        } else {
            piece_.clear();
        }
        return response;
    } catch (...) {
        connection_.finish();  // nothing is to be sent any more from where the piece was
        throw;
    }
}

Response ServerCall::expect_answer(Deadline deadline) {
    if (refusal_) {
        return *refusal_;
    }
    if (is_whole_) {  // once more
        has_begun_ = has_program_ended_ = false;
        sent_ = 0;
    }
    is_whole_ = !has_begun_;
    send(true);
    return run(deadline).value();
}

// nullopt: the server has taken the piece, which is not the last one, and wants more.
std::optional<Response> ServerCall::run(Deadline deadline) {
    for (;;) {
        const Stop stop = guest_.go_on(calls_, deadline);
        if (connection_.was_dropped()) {  // which had no piece but this one: it goes on a new one
            const bool is_last = connection_.is_given();
            connection_.finish();
            has_begun_ = false;
            sent_ = 0;
            send(is_last);
            continue;
        }
        check_stop(stop);
        const ResponseParser& parser = connection_.answer();
        const bool is_given = connection_.is_given();
        const bool has_begun = parser.has_head() && (!parser.body().empty() || parser.is_upgraded());
        if (parser.is_done() || (is_given && has_begun)) {
            return answer();
        }
        if (!is_given && connection_.is_taken()) {
            return std::nullopt;
        }
    }
}

void ServerCall::check_stop(const Stop& stop) {
    switch (stop.reason) {
        case Stop::Reason::has_output:
        case Stop::Reason::needs_input: return;
        case Stop::Reason::exited: end_with_process(stop); return;
        case Stop::Reason::host_call:
        case Stop::Reason::returned:
        case Stop::Reason::at_entry: break;
    }
    throw Failure(FailureKind::invalid_answer,
                  "the program answered by a call of kvm_api.h; with the protocol http it answers on its connection");
}

Response ServerCall::answer() {
    ResponseParser& parser = connection_.answer();
    Response response;
    response.status = parser.status();
    response.content_type = parser.content_type();
    response.headers = parser.take_fields();
    set_date(response.headers);
    if (parser.is_done() && !parser.is_upgraded() && request_.method != "HEAD") {
        connection_.take_body(body_);
        response.body_size = body_.size();
    } else {  // the answer to a HEAD has the length of a body that does not come
        response.stream = Response::Stream{.function = 0, .argument = 0};
        response.body_size = parser.body_size() ? *parser.body_size() : Response::unknown_size;
    }
    return response;
}

// Servers make the text of the date once a second, and what was made before the freeze is still there after it.
void ServerCall::set_date(std::vector<std::string>& fields) const {
    for (std::string& line : fields) {
        const auto field = HttpField::split(line);
        if (!field || !field->is("Date")) {
            continue;
        }
        const auto date = parse_http_date(field->value);
        if (date && *date < begun_) {
            line = "Date: " + format_http_date(begun_);
        }
    }
}

std::optional<std::span<const std::byte>> ServerCall::host_body() const {
    return refusal_ ? std::as_bytes(std::span(refusal_text_)) : std::span<const std::byte>(body_);
}

std::optional<std::span<const std::byte>> ServerCall::make_response_piece(Deadline deadline) {
    ResponseParser& parser = connection_.answer();
    while (parser.body().empty() && !parser.is_done()) {
        const Stop stop = guest_.go_on(calls_, deadline);
        if (stop.reason == Stop::Reason::exited) {
            end_with_process(stop);
        }
    }
    connection_.take_body(body_);
    return std::span<const std::byte>(body_);
}

void ServerCall::exchange(Exchange& exchange, Deadline deadline) {
    ResponseParser& parser = connection_.answer();
    if (!exchange.input.empty() || exchange.input_ends) {
        connection_.send(std::exchange(exchange.input, {}), std::exchange(exchange.input_ends, false));
    }
    std::optional<Stop> stop;
    if (!parser.is_done()) {
        stop = go_on_delivering(exchange, deadline);
    }
    const bool was_full = connection_.room() == 0;
    if (exchange.output.empty() && !parser.body().empty()) {
        connection_.take_body(exchange.output);
    }
    const bool has_room_again = was_full && connection_.room() != 0;
    exchange.waits = parser.is_done() || (stop->reason == Stop::Reason::needs_input && !has_room_again);
    exchange.wakes_at = parser.is_done() ? std::nullopt : stop->wakes_at;
    exchange.sent = connection_.take_count();
    exchange.is_taken = connection_.is_taken();
    exchange.has_more = !parser.body().empty();
    exchange.has_ended = parser.is_done() && !exchange.has_more;
}

Stop ServerCall::go_on_delivering(const Exchange& exchange, Deadline deadline) {
    struct Delivery {
        ServerConnection& connection;
        ~Delivery() { connection.deliver_to(nullptr); }
    };
    const Delivery delivery{connection_};
    connection_.deliver_to(&exchange.send);
    const Stop stop = guest_.go_on(calls_, deadline);
    check_stop(stop);
    return stop;
}

// The end of the process is the end of its connections, too.
void ServerCall::end_with_process(const Stop& stop) {
    has_program_ended_ = true;
    ResponseParser& parser = connection_.answer();
    if (!parser.has_begun()) {
        throw Failure(FailureKind::no_answer,
                      "the server exited with status " + std::to_string(stop.exit_status) + " instead of answering");
    }
    parser.end();
}

}  // namespace tinykvm::host
