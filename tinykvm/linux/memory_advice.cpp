// madvise, mincore, msync and mlock. Most do nothing, as guest memory is never swapped out by this library.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/kept_file.hpp"
#include "tinykvm/linux/memory_calls.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

// Checks that `begin` is page-aligned and rounds the size up. Returns 0 or a negative errno.
int whole_pages(GuestAddr begin, std::uint64_t size, std::uint64_t& rounded) {
    if (begin % page_size != 0) return -EINVAL;
    if (begin >= x86::user_end || size > x86::user_end - begin) return -ENOMEM;
    rounded = page_ceil(size);
    return 0;
}

std::int64_t discard(SyscallContext& call, GuestAddr begin, GuestAddr end) {
    const int advice = call.int_arg(2);
    const Regions& regions = call.memory.regions();
    bool holes = false;
    for (GuestAddr at = begin; at < end;) {
        const Region* region = regions.find(at);
        if (!region) {  // on to the next mapping
            holes = true;
            auto next = std::find_if(regions.begin(), regions.end(), [at](const auto& r) { return r.first >= at; });
            if (next == regions.end()) break;
            at = next->first;
            continue;
        }
        if (advice == MADV_FREE && (region->names_file() || region->traits.shared)) return -EINVAL;
        // On Linux a private mapping of a file then shows the file's bytes again. A copy of the guest's own cannot, but
        // shows them as long as nobody could write to it.
        if (!region->file && region->shared_file == 0 && region->names_file() && region->traits.was_writable)
            return -EINVAL;
        const GuestAddr stop = std::min(end, region->end);
        if (region->traits.shared || (region->names_file() && !region->file)) {  // it stays as it is
            at = stop;
            continue;
        }
        if (const int error = call.memory.discard(at, stop - at)) return error;
        call.waiter.check();
        at = stop;
    }
    return holes ? -ENOMEM : 0;
}

// MADV_WIPEONFORK and its opposite. For programs, a request is what a fork is.
std::int64_t wipe_in_forks(SyscallContext& call, GuestRange range, bool wipe) {
    const Regions& regions = call.memory.regions();
    bool holes = false;
    for (GuestAddr at = range.begin; at < range.end;) {
        const auto region = regions.first_ending_after(at);
        if (region == regions.end() || region->second.begin >= range.end) return -ENOMEM;
        holes |= region->second.begin > at;
        at = std::max(at, region->second.begin);
        const GuestAddr stop = std::min(range.end, region->second.end);
        const bool anonymous = !region->second.names_file() && !region->second.traits.shared;
        if (wipe && !anonymous) return -EINVAL;
        if (region->second.traits.zero_in_forks != wipe) {
            const auto set = [wipe](MappingTraits& traits) { traits.zero_in_forks = wipe; };
            if (const int error = call.memory.mark(at, stop - at, set)) return error == -ENOMEM ? -EAGAIN : error;
        }
        at = stop;
    }
    return holes ? -ENOMEM : 0;
}

// MADV_POPULATE_READ and MADV_POPULATE_WRITE: the host gives memory when it is used. Here only rights are checked.
std::int64_t populate(const SyscallContext& call, GuestRange range, bool write) {
    for (GuestAddr at = range.begin; at < range.end;) {
        const Region* region = call.memory.regions().find(at);
        if (!region) return -ENOMEM;
        const Protection& rights = region->protection;
        if (!(write ? rights.write : rights.read || rights.execute)) return -EINVAL;
        at = region->end;
    }
    return 0;
}

}  // namespace

std::int64_t sys_madvise(SyscallContext& call) {
    const GuestAddr begin = call.args[0];
    std::uint64_t size = 0;
    if (const int error = whole_pages(begin, call.args[1], size)) return error;
    if (size == 0) return 0;
    switch (call.int_arg(2)) {
        case MADV_DONTNEED:
        case MADV_FREE:
            if (!is_user_range(begin, size)) return -ENOMEM;
            return discard(call, begin, begin + size);
        case MADV_WIPEONFORK:
        case MADV_KEEPONFORK:
            if (!is_user_range(begin, size)) return -ENOMEM;
            return wipe_in_forks(call, {begin, begin + size}, call.int_arg(2) == MADV_WIPEONFORK);
        case MADV_POPULATE_READ:
        case MADV_POPULATE_WRITE: return populate(call, {begin, begin + size}, call.int_arg(2) == MADV_POPULATE_WRITE);
        case MADV_NORMAL:
        case MADV_RANDOM:
        case MADV_SEQUENTIAL:
        case MADV_WILLNEED:
        case MADV_DONTFORK:
        case MADV_DOFORK:
        case MADV_HUGEPAGE:
        case MADV_NOHUGEPAGE:
        case MADV_DONTDUMP:
        case MADV_DODUMP:
        case MADV_COLD:
        case MADV_PAGEOUT: return call.memory.regions().covered(begin, begin + size) ? 0 : -ENOMEM;
    }
    return -EINVAL;
}

std::int64_t sys_mincore(SyscallContext& call) {
    std::uint64_t size = 0;
    if (const int error = whole_pages(call.args[0], call.args[1], size)) return error;
    if (size == 0) return 0;
    if (!call.memory.regions().covered(call.args[0], call.args[0] + size)) return -ENOMEM;
    std::array<unsigned char, page_size> resident;
    resident.fill(1);
    for (std::uint64_t page = 0; page < size / page_size; page += resident.size()) {
        const std::uint64_t count = std::min<std::uint64_t>(resident.size(), size / page_size - page);
        if (!call.memory.write(call.args[2] + page, resident.data(), count)) return -EFAULT;
        call.waiter.check();
    }
    return 0;
}

std::int64_t sys_msync(SyscallContext& call) {
    const int flags = call.int_arg(2);
    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        return -EINVAL;
    std::uint64_t size = 0;
    if (const int error = whole_pages(call.args[0], call.args[1], size)) return error;
    if (!call.memory.regions().covered(call.args[0], call.args[0] + size)) return -ENOMEM;
    return flags & MS_SYNC ? save_mapped_kept_file(call) : 0;
}

std::int64_t sys_mlockall(SyscallContext& call) {
    constexpr int known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    const int flags = call.int_arg(0);
    return flags == 0 || (flags & ~known) || flags == MCL_ONFAULT ? -EINVAL : 0;
}
std::int64_t sys_munlockall(SyscallContext&) { return 0; }

std::int64_t sys_mlock2(SyscallContext& call) { return call.int_arg(2) & ~MLOCK_ONFAULT ? -EINVAL : sys_mlock(call); }

// mlock, munlock
std::int64_t sys_mlock(SyscallContext& call) {
    const GuestAddr begin = page_floor(call.args[0]);
    if (begin >= x86::user_end || call.args[1] > x86::user_end - begin - page_size) return -ENOMEM;
    const GuestAddr end = page_ceil(call.args[0] + call.args[1]);
    return call.memory.regions().covered(begin, end) ? 0 : -ENOMEM;
}

}  // namespace tinykvm::linux_abi
