// The calls of a program that answers a request.
#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/calls/guest_calls.hpp"

namespace tinykvm::host {

void GuestCalls::begin_request(const Request& request) {
    phase_ = Phase::request;
    request_ = &request;
    origin_ = request.origin;
    request_headers_.begin(request.headers);
    response_headers_.begin({});
    cacheability_.reset();
    response_.reset();
    waits_ = false;
}

HostCallResult GuestCalls::set_cacheable(const HostCall& call, GuestMemory&) {
    const auto seconds = [](std::uint64_t milliseconds) {
        return sane_seconds(static_cast<double>(static_cast<std::int64_t>(milliseconds)) / 1000.0);
    };
    cacheability_ =
        Cacheability{(call.args[0] & 0xFF) != 0, seconds(call.args[1]), seconds(call.args[2]), seconds(call.args[3])};
    return HostCallResult::resume(0);
}

HostCallResult GuestCalls::backend_response(const HostCall& call, GuestMemory& memory) {
    std::vector<std::string> ignored;
    Response response = read_response(memory, call.args, ignored);
    for (const std::string& name : ignored) {
        note("header " + name + " of the program is ignored: it belongs to the connection");
    }
    return answer(std::move(response));
}

HostCallResult GuestCalls::begin_streaming_response(const HostCall& call, GuestMemory& memory) {
    return answer(read_streaming_response(memory, call.args));
}

HostCallResult GuestCalls::answer(Response response) {
    if (!response.cacheability) {
        response.cacheability = cacheability_;
    }
    response.request_changes = request_headers_.take_changes();
    std::vector<HeaderChange> changes = response_headers_.take_changes();
    std::move(response.response_changes.begin(), response.response_changes.end(), std::back_inserter(changes));
    response.response_changes = std::move(changes);
    response_ = std::move(response);
    return HostCallResult::stop();
}

HeaderEdit* GuestCalls::message(std::uint64_t where) {
    switch (static_cast<abi::Message>(static_cast<std::uint32_t>(where))) {
        case abi::Message::request:
        case abi::Message::older_request: return &request_headers_;
        case abi::Message::response:
        case abi::Message::older_response: return &response_headers_;
    }
    return nullptr;
}

HostCallResult GuestCalls::change_header(const HostCall& call, GuestMemory& memory,
                                         long (HeaderEdit::*change)(std::string_view)) {
    HeaderEdit* edit = message(call.args[0]);
    if (edit == nullptr || call.args[2] == 0 || call.args[2] > max_field_bytes) {
        return HostCallResult::resume(-EINVAL);
    }
    const auto line = memory.read_bytes(call.args[1], call.args[2]);
    return HostCallResult::resume(line ? (edit->*change)(*line) : -EFAULT);
}

HostCallResult GuestCalls::http_append(const HostCall& call, GuestMemory& memory) {
    return change_header(call, memory, &HeaderEdit::append);
}

HostCallResult GuestCalls::http_set(const HostCall& call, GuestMemory& memory) {
    return change_header(call, memory, &HeaderEdit::set);
}

HostCallResult GuestCalls::http_find(const HostCall& call, GuestMemory& memory) {
    const auto [where, key, key_size, out, room, unused] = call.args;
    (void)unused;
    const HeaderEdit* edit = message(where);
    if (edit == nullptr || key_size > max_field_bytes) {
        return HostCallResult::resume(-EINVAL);
    }
    const auto name = memory.read_bytes(key, key_size);
    if (!name) {
        return HostCallResult::resume(-EFAULT);
    }
    const auto field = edit->find(*name);
    return field ? copy_out(*field, out, room, memory) : HostCallResult::resume(0);
}

HostCallResult GuestCalls::http_method(const HostCall& call, GuestMemory& memory) {
    return copy_out(request_->method, call.args[0], call.args[1], memory);
}

// Returns the length of the text, also when there is no buffer to copy it to; 0 when the buffer is too small.
HostCallResult GuestCalls::copy_out(std::string_view text, GuestAddr out, std::uint64_t room, GuestMemory& memory) {
    if (out != 0) {
        if (text.size() > room) {
            return HostCallResult::resume(0);
        }
        if (!text.empty() && !memory.write(out, text.data(), text.size())) {
            return HostCallResult::resume(-EFAULT);
        }
    }
    return HostCallResult::resume(static_cast<std::int64_t>(text.size()));
}

}  // namespace tinykvm::host
