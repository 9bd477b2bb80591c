#include "src/calls/guest_calls.hpp"

#include <cerrno>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/calls/call_table.hpp"

namespace tinykvm::host {

namespace {

CallTable::When when(GuestCalls::Phase phase) {
    switch (phase) {
        case GuestCalls::Phase::boot: return CallTable::boot;
        case GuestCalls::Phase::request: return CallTable::request;
        case GuestCalls::Phase::returning: return CallTable::returning;
        case GuestCalls::Phase::streaming: return CallTable::streaming;
        case GuestCalls::Phase::storage:
        case GuestCalls::Phase::hand_over:
        case GuestCalls::Phase::restore: return CallTable::storage;
    }
    return CallTable::always;
}

// Why a call that is not allowed in the phase is wrong, after its name.
const char* why_not(GuestCalls::Phase phase) {
    switch (phase) {
        case GuestCalls::Phase::boot: return " without a request";
        case GuestCalls::Phase::streaming: return " after the response has begun";
        case GuestCalls::Phase::storage: return " in the storage";
        case GuestCalls::Phase::hand_over: return " in on_live_update";
        case GuestCalls::Phase::restore: return " in on_live_restore";
        case GuestCalls::Phase::request:
        case GuestCalls::Phase::returning: return " while the program serves requests";
    }
    return "";
}

}  // namespace

GuestCalls::Environment GuestCalls::environment_of(const ProgramConfig& config) {
    return {.max_memory = config.max_memory,
            .max_request_memory = config.max_request_memory,
            .verbose = config.verbose,
            .ephemeral = config.is_ephemeral(),
            .control_ephemeral = config.may_change_ephemeral(),
            .allowed_hosts = &config.allowed_hosts,
            .allow_debug = config.allow_debug,
            .debug = config.debug_start,
            .is_storage = config.is_storage,
            .max_log_lines = config.verbose_syscalls ? max_log_lines_of_calls : max_log_lines};
}

void GuestCalls::begin_boot(std::function<void(std::string_view)> log) {
    phase_ = Phase::boot;
    registration_ = {};
    registration_.ephemeral = environment_.ephemeral;
    boot_log_ = std::move(log);
    waits_ = false;
}

void GuestCalls::begin_call_with_result(Phase phase, std::size_t room) {
    phase_ = phase;
    result_room_ = room;
    storage_result_ = {};
    waits_ = false;
}

void GuestCalls::note(std::string_view line) {
    if (boot_log_) {
        boot_log_(line);
    } else if (log_.size() < environment_.max_log_lines) {
        log_.emplace_back(line);
    } else {
        lines_lost_++;
    }
}

std::vector<std::string> GuestCalls::take_log() {
    if (lines_lost_ > 0) {
        log_.push_back("(" + std::to_string(lines_lost_) + " more lines were not logged)");
        lines_lost_ = 0;
    }
    return std::exchange(log_, {});
}

bool GuestCalls::may_wait(std::uint32_t number) const {
    const CallTable::Entry* entry = CallTable::find(number);
    return entry != nullptr && entry->may_wait;
}

HostCallResult GuestCalls::handle(const HostCall& call, GuestMemory& memory) {
    const CallTable::Entry* entry = CallTable::find(call.number);
    if (entry == nullptr || entry->handler == nullptr) {
        if (environment_.verbose) {
            note(entry == nullptr ? "unknown call " + hex(call.number)
                                  : std::string(entry->name) + " is not available in this version");
        }
        return HostCallResult::resume(-ENOSYS);
    }
    if ((entry->when & when(phase_)) == 0) {
        throw Failure(FailureKind::invalid_answer, std::string(entry->name) + why_not(phase_));
    }
    return (this->*entry->handler)(call, memory);
}

}  // namespace tinykvm::host
