#include "src/vms/filter_call.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/calls/cgi_environment.hpp"
#include "src/calls/cgi_head.hpp"
#include "tinykvm/errors.hpp"

namespace tinykvm::host {

namespace {

constexpr const char* default_content_type = "application/octet-stream";

}  // namespace

void FilterCall::begin() {
    const BootedProgram& program = fork_.program();
    fork_.output().forget_lines();
    fork_.streams().begin(program.output, program.config.max_request_memory, "max_request_memory");
    for (const BootedProgram::ArgumentPlace& place : program.arguments) {
        write_argument(place);
    }
    announced_ = parse_length(field_value(request_.headers, "Content-Length").value_or(""));
}

bool FilterCall::append_body(std::span<const std::byte>& data) {
    if (!keeps_whole_body()) {
        return piece_.append(data);
    }
    if (const std::size_t most = fork_.program().config.max_request_memory;
        data.size() > most - piece_.bytes().size()) {
        throw Failure(FailureKind::too_large, "a body of more than " + std::to_string(most) +
                                                  " bytes does not fit in max_request_memory; its length was not "
                                                  "announced, so it is kept until it has ended");
    }
    piece_.append_copy(data);
    data = {};
    return false;
}

void FilterCall::write_argument(const BootedProgram::ArgumentPlace& place) {
    const ProgramConfig& config = fork_.program().config;
    const std::string text = place.text.expand(request_);
    const auto name = [&] {
        return "argument " + std::to_string(place.index + 1) + " of the program (" +
               printable(config.main_arguments[place.index], 80) + ")";
    };
    if (text.find('\0') != std::string::npos) {
        return refuse(400, name() + " has a zero byte in this request");
    }
    if (text.size() >= config.max_argument) {
        return refuse(414, name() + " has " + std::to_string(text.size()) + " bytes in this request, " +
                               std::to_string(config.max_argument - 1) + " are possible (max_argument)");
    }
    write(place.address, text.c_str(), text.size() + 1);
}

// The variables of CGI; what is not used of their places stays the first of them.
void FilterCall::write_environment(std::size_t body_size) {
    const BootedProgram& program = fork_.program();
    const EnvironmentPlaces& places = program.environment;
    const std::vector<std::string> entries = cgi_environment(request_, program.config, body_size);
    std::vector<GuestAddr> pointers;
    std::string text(cgi_interface);
    for (const std::string& entry : entries) {
        if (entry.find('\0') != std::string::npos) {
            return refuse(400, "the variable " + entry.substr(0, entry.find('=')) + " has a zero byte in this request");
        }
        text += '\0';
        pointers.push_back(places.text + text.size());
        text += entry;
    }
    if (pointers.size() >= places.slots || text.size() >= places.room) {
        return refuse(431, "the request has " + std::to_string(pointers.size()) + " variables of " +
                               std::to_string(text.size()) + " bytes for a CGI program, at most " +
                               std::to_string(places.slots - 1) + " of " + std::to_string(places.room - 1) +
                               " are possible");
    }
    write(places.text, text.c_str(), text.size() + 1);
    write(places.pointers + sizeof(GuestAddr), pointers.data(), pointers.size() * sizeof pointers[0]);
}

void FilterCall::write(GuestAddr to, const void* from, std::size_t size) {
    bool written = false;
    try {
        written = guest_.memory().write(to, from, size);
    } catch (const OutOfMemory& error) {
        throw Failure(FailureKind::too_large, std::string("the arguments alone take more: ") + error.what());
    }
    if (!written) {
        throw Failure(FailureKind::host_error, "the stack of the VM is not writable");
    }
}

void FilterCall::refuse(int status, const std::string& why) {
    fork_.streams().begin({}, SIZE_MAX, {});
    fork_.streams().write(why + "\n");
    refusal_.emplace();
    refusal_->status = status;
    refusal_->content_type = "text/plain";
    refusal_->body_size = fork_.streams().output().size();
}

std::size_t FilterCall::body_room() const { return SIZE_MAX; }

std::optional<Response> FilterCall::give_piece(Deadline deadline) {
    if (writes_input_file()) {
        append_to_input_file();
        return std::nullopt;
    }
    return give_input(deadline);
}

std::optional<Response> FilterCall::give_input(Deadline deadline) {
    if (fork_.program().config.cgi && !has_environment_) {
        has_environment_ = true;
        write_environment(has_body_ended_ ? piece_.bytes().size() : static_cast<std::size_t>(announced_.value_or(0)));
    }
    struct Gift {
        StandardStreams& streams;
        BodyPiece& piece;
        Gift(StandardStreams& to, BodyPiece& what) : streams(to), piece(what) { streams.give(piece.bytes()); }
        ~Gift() {
            streams.give({});
            piece.clear();
        }
    };
    const Gift gift(fork_.streams(), piece_);
    return run(deadline);
}

Response FilterCall::expect_answer(Deadline deadline) {
    has_body_ended_ = true;
    fork_.streams().end_input();
    std::optional<Response> answer = give_piece(deadline);
    if (writes_input_file()) {
        answer = run(deadline);
    }
    if (!answer) {
        throw Failure(FailureKind::no_answer, "the program still waits for input after the end of it");
    }
    return *std::move(answer);
}

// nullopt: the program has taken all the input there is, and wants more.
std::optional<Response> FilterCall::run(Deadline deadline) {
    if (refusal_) {
        return refusal_;
    }
    const Stop stop = guest_.go_on(fork_.calls(), deadline);
    switch (stop.reason) {
        case Stop::Reason::needs_input: return std::nullopt;
        case Stop::Reason::exited: return answer_of(stop.exit_status);
        case Stop::Reason::at_entry:
        case Stop::Reason::has_output:
        case Stop::Reason::host_call:
        case Stop::Reason::returned: break;
    }
    throw Failure(
        FailureKind::invalid_answer,
        "the program answered by a call of kvm_api.h; with the protocol stdio its standard output is the answer");
}

void FilterCall::append_to_input_file() {
    const ProgramConfig& config = fork_.program().config;
    const int error = refusal_ ? 0 : fork_.get().append_to_file(config.input, piece_.bytes());
    piece_.clear();
    if (error == -ENOSPC) {
        throw Failure(FailureKind::too_large, "the body has no room in " + config.input + " (max_request_memory)");
    }
    if (error != 0) {
        throw Failure(FailureKind::host_error,
                      "the body cannot be written to " + config.input + ": " + std::strerror(-error));
    }
}

// Makes the output file the body of the answer. If it is not there and need not be, that stays the standard output.
void FilterCall::take_output_file(bool required) {
    const ProgramConfig& config = fork_.program().config;
    std::vector<std::byte> bytes;
    const int error = fork_.get().read_file(config.output, config.max_request_memory, bytes);
    if (error == -ENOENT && !required) {
        return;
    }
    if (error != 0) {
        throw Failure(FailureKind::no_answer, "the program ended without an answer in its file " + config.output +
                                                  ": " + std::strerror(-error));
    }
    fork_.streams().begin(bytes, config.max_request_memory, "max_request_memory");
}

Response FilterCall::answer_of(int exit_status) {
    const ProgramConfig& config = fork_.program().config;
    const auto found = std::find_if(config.exit_statuses.begin(), config.exit_statuses.end(),
                                    [&](const ExitStatus& one) { return one.exit_status == exit_status; });
    if (found == config.exit_statuses.end() && exit_status != 0) {
        fork_.output().flush();
        const std::string& words = fork_.output().last_line();
        throw Failure(FailureKind::no_answer, "the program ended with exit status " + std::to_string(exit_status) +
                                                  (words.empty() ? "" : ": " + words));
    }
    if (!config.output.empty()) {
        take_output_file(exit_status == 0);
    }
    const int status = found == config.exit_statuses.end() ? 200 : found->status;
    if (config.cgi) {
        return cgi_answer(status);
    }
    Response response;
    response.status = status;
    response.content_type = !config.content_type.empty()     ? config.content_type
                            : !request_.content_type.empty() ? std::string(request_.content_type)
                                                             : default_content_type;
    response.body_size = fork_.streams().output().size();
    return response;
}

Response FilterCall::cgi_answer(int status) {
    CgiAnswer answer = read_cgi_answer(fork_.streams().output(), status, fork_.program().config.content_type);
    head_size_ = answer.head_size;
    // Programs need not make the body that a HEAD is not answered with, so nobody knows its length.
    if (request_.method == "HEAD" && answer.response.body_size == 0) {
        answer.response.stream = Response::Stream{};
        answer.response.body_size = Response::unknown_size;
    }
    return std::move(answer.response);
}

std::optional<std::span<const std::byte>> FilterCall::host_body() const {
    return fork_.streams().output().subspan(head_size_);
}

}  // namespace tinykvm::host
