#include "tinykvm/linux/waiter.hpp"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "tinykvm/client.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/input_source.hpp"
#include "tinykvm/options.hpp"

namespace tinykvm::linux_abi {

namespace {

// An interrupt may come after the flag was checked and before the wait begins, so no single wait is longer than this.
constexpr auto slice = std::chrono::milliseconds(20);

timespec to_timespec(Clock::duration duration) {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
    return {ns / 1'000'000'000, ns % 1'000'000'000};
}

}  // namespace

void Waiter::check() const {
    if (Clock::now() >= deadline_) throw Timeout("time limit reached in a system call");
    if (interrupted_ && interrupted_->load(std::memory_order_relaxed)) throw Interrupted("interrupted");
}

short Waiter::wait_for_host(int host_fd, short events, std::optional<Clock::time_point> until) const {
    for (;;) {
        check();
        const auto now = Clock::now();
        if (until && now >= *until) return 0;
        Clock::duration wait = slice;
        if (deadline_ - now < wait) wait = deadline_ - now;
        if (until && *until - now < wait) wait = *until - now;
        const timespec timeout = to_timespec(std::max(wait, Clock::duration::zero()));
        // A negative descriptor is ignored by ppoll(), which then only waits.
        pollfd entry{host_fd, events, 0};
        if (::ppoll(&entry, 1, &timeout, nullptr) > 0) return entry.revents;
    }
}

short input_events(const Options& options) {
    if (options.input) {
        const InputSource* source = options.input();
        const auto data = source ? source->next() : std::nullopt;
        return !data ? short{0} : data->empty() ? short{POLLHUP} : short{POLLIN};
    }
    if (!options.host_stdin) return POLLIN;  // the end of the file can be read
    pollfd entry{STDIN_FILENO, POLLIN, 0};
    return ::poll(&entry, 1, 0) > 0 ? entry.revents : short{0};
}

std::uint64_t client_changes(const Options& options) {
    const Client* client = options.client ? options.client() : nullptr;
    return client ? client->changes() : 0;
}

bool has_caller_changed(const Options& options, std::uint64_t client_seen) {
    if ((options.input || options.host_stdin) && input_events(options) != 0) return true;
    return options.client && client_changes(options) != client_seen;
}

}  // namespace tinykvm::linux_abi
