// epoll: sets of descriptors that are waited for together. A registration ends when its descriptor is closed, even when
// another descriptor refers to the same file.
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <csignal>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/poll.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

// Counts what may have made the file ready, also outside of the guest.
std::uint64_t changes(const SyscallContext& call, const OpenFile& file) {
    const std::uint64_t in_guest = call.state.files.changes(file);
    return awaits_caller(call, file) ? in_guest + client_changes(call.options) : in_guest;
}

// Was the file reported, and has not changed since? Changes of standard input are not counted.
bool was_reported(const SyscallContext& call, const PolledFile& entry, const OpenFile& file) {
    return entry.changes_seen == changes(call, file) && !(file.kind == &kinds::input && awaits_caller(call, file));
}

// The events to report of a registered file; 0 when there are none or its descriptor is closed.
std::uint32_t events_to_report(const SyscallContext& call, const PolledFile& entry) {
    const OpenFile* file = call.state.files.find(entry);
    if (!file || entry.disabled) return 0;
    if ((entry.events & EPOLLET) && was_reported(call, entry, *file)) return 0;
    return static_cast<std::uint16_t>(file->kind->readiness(call, *file)) & (entry.events | EPOLLERR | EPOLLHUP);
}

short epoll_readiness(const SyscallContext& call, const OpenFile& set) {
    for (const PolledFile& entry : set.polled)
        if (events_to_report(call, entry)) return POLLIN | POLLRDNORM;
    return 0;
}

int epoll_status(const SyscallContext&, const OpenFile&, struct stat& status) {
    status = made_up_status(0600, "epoll");
    return 0;
}

std::int64_t create(SyscallContext& call, int flags) {
    if (flags & ~EPOLL_CLOEXEC) return -EINVAL;
    OpenFile file;
    file.kind = &kinds::epoll;
    file.flags = 2;  // O_RDWR
    return call.state.files.open(std::move(file), flags & EPOLL_CLOEXEC);
}

std::int64_t wait(SyscallContext& call, std::optional<Clock::time_point> until) {
    const int most = call.int_arg(2);
    if (most <= 0 || static_cast<std::size_t>(most) > INT32_MAX / sizeof(epoll_event)) return -EINVAL;
    OpenFile* set = call.file(0);
    if (!set) return -EBADF;
    if (set->kind != &kinds::epoll) return -EINVAL;

    auto& entries = set->polled;
    std::erase_if(entries, [&](const PolledFile& entry) { return !call.state.files.find(entry); });
    std::vector<epoll_event> found;
    std::vector<PolledFile*> reported;
    bool for_caller = false;
    std::size_t last = 0;
    for (std::size_t i = 0; i < entries.size() && found.size() < static_cast<std::size_t>(most); ++i) {
        PolledFile& entry = entries[i];
        for_caller |= awaits_caller(call, *call.state.files.find(entry));
        const std::uint32_t ready = events_to_report(call, entry);
        if (ready == 0) continue;
        found.push_back({ready, {.u64 = entry.data}});
        reported.push_back(&entry);
        last = i + 1;
    }
    if (found.empty()) return wait_for_files(call, until, for_caller);
    if (!call.memory.write(call.args[1], found.data(), found.size() * sizeof found[0])) return -EFAULT;
    for (PolledFile* entry : reported) {
        entry->changes_seen = changes(call, *call.state.files.find(*entry));
        entry->disabled = entry->events & EPOLLONESHOT;
    }
    // Entries that were not looked at are first next time.
    std::rotate(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(last), entries.end());
    return static_cast<std::int64_t>(found.size());
}

}  // namespace

constinit const FileKind kinds::epoll{.status = epoll_status, .readiness = epoll_readiness, .transfer_error = -EINVAL};

std::int64_t sys_epoll_create(SyscallContext& call) { return call.int_arg(0) <= 0 ? -EINVAL : create(call, 0); }
std::int64_t sys_epoll_create1(SyscallContext& call) { return create(call, call.int_arg(0)); }

std::int64_t sys_epoll_ctl(SyscallContext& call) {
    const int operation = call.int_arg(1), fd = call.int_arg(2);
    epoll_event wanted{};
    if (operation != EPOLL_CTL_DEL && !call.memory.read(call.args[3], wanted)) return -EFAULT;
    OpenFile* set = call.file(0);
    const OpenFile* file = call.file(2);
    if (!set || !file) return -EBADF;
    if (set->kind != &kinds::epoll || set == file) return -EINVAL;
    if (!file->kind->can_be_in_epoll) return -EPERM;  // files are always ready; a set in a set is not supported

    auto& entries = set->polled;
    std::erase_if(entries, [&](const PolledFile& entry) { return !call.state.files.find(entry); });
    const auto entry =
        std::find_if(entries.begin(), entries.end(), [fd](const PolledFile& other) { return other.fd == fd; });
    const bool present = entry != entries.end();
    switch (operation) {
        case EPOLL_CTL_ADD:
            if (present) return -EEXIST;
            entries.push_back({fd, file->serial, wanted.events, false, wanted.data.u64, 0});
            break;
        case EPOLL_CTL_MOD:
            if (!present) return -ENOENT;
            if (wanted.events & EPOLLEXCLUSIVE) return -EINVAL;
            *entry = {fd, file->serial, wanted.events, false, wanted.data.u64, 0};
            break;
        case EPOLL_CTL_DEL:
            if (!present) return -ENOENT;
            entries.erase(entry);
            break;
        default: return -EINVAL;
    }
    call.state.files.note_change();  // a thread that waits with this set looks again
    return 0;
}

std::int64_t sys_epoll_wait(SyscallContext& call) {
    return wait(call, call.end_of_wait(end_of_timeout(call.int_arg(3))));
}

std::int64_t sys_epoll_pwait(SyscallContext& call) {
    if (const int error = set_temporary_mask(call, call.args[4], call.args[5])) return error;
    return end_masked_call(call, sys_epoll_wait(call));
}

std::int64_t sys_epoll_pwait2(SyscallContext& call) {
    std::optional<Clock::time_point> until;
    if (const int error = read_timeout(call, call.args[3], until)) return error;
    until = call.end_of_wait(until);
    if (const int error = set_temporary_mask(call, call.args[4], call.args[5])) return error;
    return end_masked_call(call, wait(call, until));
}

}  // namespace tinykvm::linux_abi
