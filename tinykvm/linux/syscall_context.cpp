#include "tinykvm/linux/syscall_context.hpp"

#include <algorithm>
#include <cstdio>

#include "tinykvm/linux/signal_delivery.hpp"

namespace tinykvm::linux_abi {

void SyscallContext::log(const std::string& line) const {
    if (!options.log || state.events_logged > max_events) return;
    options.log(++state.events_logged > max_events ? "more of this is not logged" : line);
}

void SyscallContext::warn(Limit limit) const {
    static_assert(static_cast<unsigned>(Limit::connections) < 8 * sizeof state.limits_reported);
    const auto bit = static_cast<std::uint8_t>(1u << static_cast<unsigned>(limit));
    if (!options.warn || (state.limits_reported & bit)) return;
    state.limits_reported |= bit;
    std::string what;
    switch (limit) {
        case Limit::threads:
            what = "no more than " + std::to_string(options.max_threads) + " threads at a time (max_threads)";
            break;
        case Limit::address_space:
            what = "no more than " + std::to_string(options.max_address_space >> 20) +
                   " MiB may be mapped for access (address_space)";
            break;
        case Limit::open_files:
            what = "no more than " + std::to_string(options.max_open_files) + " open files (max_open_files)";
            break;
        case Limit::memory:
            what =
                "no more than " + std::to_string(memory.limits().bytes >> 20) + " MiB (" + memory.limits().name + ")";
            break;
        case Limit::piped_bytes:
            what = "no more than " + std::to_string(max_piped >> 20) +
                   " MiB in all pipes and sockets, which is no setting";
            break;
        case Limit::waiting_connections:
            what = "no more than " + std::to_string(most_pending) +
                   " connections may wait to be accepted at a socket, which is no setting";
            break;
        case Limit::connections:
            what = "no more than " + std::to_string(state.files.limit() + most_pending) +
                   " connections, accepted or not: " + std::to_string(most_pending) +
                   " more than open files (max_open_files)";
            break;
        case Limit::mappings: what = "no more than " + std::to_string(memory.max_regions()) + " mappings"; break;
    }
    options.warn(std::string(name) + " failed: " + what);
}

std::int64_t SyscallContext::park(const Wait& wait, std::int64_t interrupted) {
    if (deliverable_set(state, state.thread)) return interrupted;
    state.thread.wait = wait;
    state.thread.wait.changes_seen = state.files.changes();
    state.thread.wait.client_seen = client_changes(options);
    parked = true;
    return 0;
}

std::string in_quotes(std::string_view text) {
    constexpr std::size_t shown = 128;
    std::string result = "\"";
    for (unsigned char c : text.substr(0, shown)) {
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            char escape[5];
            std::snprintf(escape, sizeof escape, "\\x%02x", c);
            result += escape;
        } else {
            result += static_cast<char>(c);
        }
    }
    return result + (text.size() > shown ? "\"..." : "\"");
}

PathArgument read_path(const SyscallContext& call, GuestAddr address) {
    if (auto path = call.memory.read_string(address, max_path)) return {std::move(*path), 0};
    return {{}, call.memory.is_readable(address, max_path) ? -ENAMETOOLONG : -EFAULT};
}

int read_timespec(const SyscallContext& call, GuestAddr address, TimeSpec& time) {
    if (!call.memory.read(address, time)) return -EFAULT;
    return time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= 1'000'000'000 ? -EINVAL : 0;
}

Clock::time_point time_from_now(const TimeSpec& time) {
    // A hundred years is longer than any deadline.
    const std::int64_t seconds = std::min<std::int64_t>(time.seconds, 3'155'760'000);
    return Clock::now() + std::chrono::seconds(seconds) + std::chrono::nanoseconds(time.nanoseconds);
}

}  // namespace tinykvm::linux_abi
