// poll and select.
#include "tinykvm/linux/poll.hpp"

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

bool awaits_caller(const SyscallContext& call, const OpenFile& file) {
    return file.kind->awaits_caller && file.kind->awaits_caller(call, file);
}

using Until = std::optional<Clock::time_point>;

std::int64_t wait_for_files(SyscallContext& call, Until until, bool for_caller) {
    const Wait wait{.what = Wait::For::files, .for_caller = for_caller, .until = until};
    const bool interrupted = deliverable_set(call.state, call.state.thread) != 0;
    return wait.is_over(Clock::now()) && !interrupted ? 0 : call.park(wait, -EINTR);
}

int set_temporary_mask(SyscallContext& call, GuestAddr address, std::uint64_t size) {
    if (address == 0 || call.parked_with) return 0;
    SignalSet mask = 0;
    if (size != sizeof mask) return -EINVAL;
    if (!call.memory.read(address, mask)) return -EFAULT;
    call.state.thread.begin_temporary_mask(mask & ~unblockable);
    return 0;
}

std::int64_t end_masked_call(SyscallContext& call, std::int64_t result) {
    if (!call.parked && result != -EINTR) call.state.thread.end_temporary_mask();
    return result;
}

int read_timeout(const SyscallContext& call, GuestAddr address, Until& end) {
    end.reset();
    if (address == 0) return 0;
    TimeSpec time;
    if (const int error = read_timespec(call, address, time)) return error;
    end = time_from_now(time);
    return 0;
}

Until end_of_timeout(int milliseconds) {
    return milliseconds < 0 ? std::nullopt : Until(Clock::now() + std::chrono::milliseconds(milliseconds));
}

namespace {

// Linux writes back how much of the time was left, and ignores it when that fails.
void write_remaining(SyscallContext& call, GuestAddr address, Until until, std::int64_t units_per_second) {
    if (address == 0 || !until || call.parked) return;
    const auto left = std::max(*until - Clock::now(), Clock::duration::zero());
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const TimeSpec time{ns / 1'000'000'000, ns % 1'000'000'000 / (1'000'000'000 / units_per_second)};
    (void)call.memory.write(address, time);
}

std::int64_t poll_files(SyscallContext& call, Until until) {
    const auto count = static_cast<std::uint32_t>(call.args[1]);
    if (count > std::max<std::size_t>(call.state.files.limit(), 3)) return -EINVAL;
    std::vector<pollfd> entries(count);
    const std::size_t bytes = count * sizeof(pollfd);
    if (count > 0 && !call.memory.read(call.args[0], entries.data(), bytes)) return -EFAULT;

    bool for_caller = false;
    for (const pollfd& entry : entries)
        if (const OpenFile* file = call.state.files.find(entry.fd)) for_caller |= awaits_caller(call, *file);
    std::int64_t ready = 0;
    for (pollfd& entry : entries) {
        entry.revents = 0;
        if (entry.fd < 0) continue;
        const OpenFile* file = call.state.files.find(entry.fd);
        const short all = file ? file->kind->readiness(call, *file) : short{POLLNVAL};
        entry.revents = static_cast<short>(all & (entry.events | POLLERR | POLLHUP | POLLNVAL));
        if (entry.revents) ++ready;
    }
    if (ready == 0) ready = wait_for_files(call, until, for_caller);
    if (call.parked) return 0;
    if (count > 0 && !call.memory.write(call.args[0], entries.data(), bytes)) return -EFAULT;
    return ready;
}

// One of select's three sets. Only the bits of descriptors that the table can have are read.
struct FdSet {
    GuestAddr address = 0;
    std::vector<std::uint64_t> wanted, ready;

    bool has(int fd) const { return !wanted.empty() && (wanted[static_cast<std::size_t>(fd) / 64] >> fd % 64 & 1); }
    void mark(int fd) { ready[static_cast<std::size_t>(fd) / 64] |= std::uint64_t{1} << fd % 64; }
};

std::int64_t select_files(SyscallContext& call, Until until) {
    const int wanted = call.int_arg(0);
    if (wanted < 0) return -EINVAL;
    const int count =
        static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(wanted), call.state.files.limit()));
    const std::size_t words = (static_cast<std::size_t>(count) + 63) / 64;
    FdSet sets[3];  // reading, writing, exceptional
    constexpr short events[3] = {POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI};
    for (std::size_t i = 0; i < 3; ++i) {
        sets[i].address = call.args[i + 1];
        if (sets[i].address == 0) continue;
        sets[i].wanted.resize(words);
        if (words > 0 && !call.memory.read(sets[i].address, sets[i].wanted.data(), words * 8)) return -EFAULT;
    }
    bool for_caller = false;
    for (int fd = 0; fd < count; ++fd) {
        if (!sets[0].has(fd) && !sets[1].has(fd) && !sets[2].has(fd)) continue;
        const OpenFile* file = call.state.files.find(fd);
        if (!file || file->kind->is_name) return -EBADF;
        for_caller |= sets[0].has(fd) && awaits_caller(call, *file);
    }
    std::int64_t ready = 0;
    for (FdSet& set : sets) set.ready.assign(words, 0);
    for (int fd = 0; fd < count; ++fd) {
        const OpenFile* file = call.state.files.find(fd);
        if (!file) continue;
        const short all = file->kind->readiness(call, *file);
        for (std::size_t i = 0; i < 3; ++i) {
            if (!sets[i].has(fd) || !(all & events[i])) continue;
            sets[i].mark(fd);
            ++ready;
        }
    }
    if (ready == 0) ready = wait_for_files(call, until, for_caller);
    if (call.parked || ready < 0) return ready;
    for (const FdSet& set : sets)
        if (set.address && words > 0 && !call.memory.write(set.address, set.ready.data(), words * 8)) return -EFAULT;
    return ready;
}

}  // namespace

std::int64_t sys_poll(SyscallContext& call) {
    return poll_files(call, call.end_of_wait(end_of_timeout(call.int_arg(2))));
}

std::int64_t sys_ppoll(SyscallContext& call) {
    Until until;
    if (const int error = read_timeout(call, call.args[2], until)) return error;
    until = call.end_of_wait(until);
    if (const int error = set_temporary_mask(call, call.args[3], call.args[4])) return error;
    const std::int64_t result = end_masked_call(call, poll_files(call, until));
    write_remaining(call, call.args[2], until, 1'000'000'000);
    return result;
}

std::int64_t sys_select(SyscallContext& call) {
    Until until;
    if (call.args[4]) {
        struct {
            std::int64_t seconds, microseconds;
        } time;
        if (!call.memory.read(call.args[4], time)) return -EFAULT;
        if (time.seconds < 0 || time.microseconds < 0) return -EINVAL;
        // Linux adds whole seconds of the microseconds to the seconds.
        const std::int64_t carried = time.microseconds / 1'000'000;
        if (time.seconds > INT64_MAX - carried) return -EINVAL;
        until = time_from_now({time.seconds + carried, time.microseconds % 1'000'000 * 1000});
    }
    until = call.end_of_wait(until);
    const std::int64_t result = select_files(call, until);
    write_remaining(call, call.args[4], until, 1'000'000);
    return result;
}

std::int64_t sys_pselect6(SyscallContext& call) {
    Until until;
    if (const int error = read_timeout(call, call.args[4], until)) return error;
    until = call.end_of_wait(until);
    if (call.args[5]) {
        struct {
            std::uint64_t address, size;
        } argument;
        if (!call.memory.read(call.args[5], argument)) return -EFAULT;
        if (const int error = set_temporary_mask(call, argument.address, argument.size)) return error;
    }
    const std::int64_t result = end_masked_call(call, select_files(call, until));
    write_remaining(call, call.args[4], until, 1'000'000'000);
    return result;
}

}  // namespace tinykvm::linux_abi
