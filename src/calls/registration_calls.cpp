// The calls of a program that prepares itself, and those that any program makes at any time.
#include <algorithm>
#include <cerrno>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/calls/guest_calls.hpp"

namespace tinykvm::host {

HostCallResult GuestCalls::register_func(const HostCall& call, GuestMemory&) {
    const std::uint64_t which = static_cast<std::uint32_t>(call.args[0]);
    switch (static_cast<abi::Callback>(which)) {
        case abi::Callback::get:
        case abi::Callback::post:
        case abi::Callback::request:
        case abi::Callback::stream_post:
        case abi::Callback::on_error:
        case abi::Callback::live_update:
        case abi::Callback::live_restore:
            registration_.callbacks[which] = call.args[1];
            return HostCallResult::resume(0);
        case abi::Callback::prepare_for_pause: return HostCallResult::resume(-ENOSYS);
    }
    return HostCallResult::resume(-EINVAL);
}

namespace {

// What the guest runs in a phase that ends when a function returns; null: it is another one.
const char* function_of(GuestCalls::Phase phase) {
    switch (phase) {
        case GuestCalls::Phase::storage: return "a function of the storage";
        case GuestCalls::Phase::hand_over: return "on_live_update";
        case GuestCalls::Phase::restore: return "on_live_restore";
        case GuestCalls::Phase::streaming: return "the streaming callback";
        case GuestCalls::Phase::boot:
        case GuestCalls::Phase::request:
        case GuestCalls::Phase::returning: return nullptr;
    }
    return nullptr;
}

}  // namespace

// Waiting is how a program ends its boot, how a request ends without an answer, and where a paused program that
// is not ephemeral comes back to.
HostCallResult GuestCalls::stop_waiting(Registration::Waiting waiting, const char* name) {
    if (phase_ == Phase::request) {
        throw Failure(FailureKind::no_answer, std::string("the program called ") + name + " without an answer");
    }
    if (const char* function = function_of(phase_); function != nullptr) {
        throw Failure(FailureKind::invalid_answer, std::string(function) + " called " + name);
    }
    if (phase_ == Phase::returning && registration_.waiting != waiting) {
        throw Failure(FailureKind::no_answer,
                      std::string("the program waits with ") + name + " now, which is not how it waited at first");
    }
    registration_.waiting = waiting;
    waits_ = true;
    return HostCallResult::stop();
}

HostCallResult GuestCalls::wait_for_requests(const HostCall&, GuestMemory&) {
    return stop_waiting(Registration::Waiting::callbacks, "wait_for_requests");
}

HostCallResult GuestCalls::wait_for_requests_paused(const HostCall& call, GuestMemory& memory) {
    if (!memory.is_writable(call.args[0], sizeof(abi::Request))) {
        throw Failure(FailureKind::invalid_answer,
                      "wait_for_requests_paused: the request at " + hex(call.args[0]) + " is not writable");
    }
    registration_.paused_request = call.args[0];
    return stop_waiting(Registration::Waiting::paused, "wait_for_requests_paused");
}

// The decision is part of what reset takes back: one that main() made holds for every VM, that of a request for its
// own VM until it is reset.
HostCallResult GuestCalls::make_ephemeral(const HostCall& call, GuestMemory&) {
    if (!environment_.control_ephemeral) {
        note("sys_make_ephemeral: the configuration does not allow it (\"control_ephemeral\")");
        return HostCallResult::resume(-EPERM);
    }
    registration_.ephemeral = static_cast<std::uint32_t>(call.args[0]) != 0;
    return HostCallResult::resume(0);
}

HostCallResult GuestCalls::is_debug(const HostCall&, GuestMemory&) {
    return HostCallResult::resume(environment_.debug ? 1 : 0);
}

HostCallResult GuestCalls::breakpoint(const HostCall&, GuestMemory&) {
    return environment_.allow_debug ? HostCallResult::debug() : HostCallResult::resume(0);
}

HostCallResult GuestCalls::get_meminfo(const HostCall& call, GuestMemory& memory) {
    abi::MemoryInfo info;
    info.max_memory = environment_.max_memory;
    info.max_reqmem = environment_.max_request_memory;
    if (phase_ != Phase::boot) {
        info.reqmem_current = memory.changed_bytes();
        most_changed_bytes_ = std::max(most_changed_bytes_, info.reqmem_current);
        info.reqmem_upper = most_changed_bytes_;
    }
    return HostCallResult::resume(memory.write(call.args[0], info) ? 0 : -EFAULT);
}

HostCallResult GuestCalls::log(const HostCall& call, GuestMemory& memory) {
    // Takes one byte more than is shown, so that printable() notices when the line is cut.
    const std::uint64_t size = std::min<std::uint64_t>(call.args[1], max_log_line + 1);
    const auto text = memory.read_bytes(call.args[0], size);
    if (!text) {
        return HostCallResult::resume(-EFAULT);
    }
    note(printable(*text, max_log_line));
    return HostCallResult::resume(static_cast<std::int64_t>(std::min<std::size_t>(size, max_log_line)));
}

}  // namespace tinykvm::host
