// mremap. It is done in place where that is possible, else by copying.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "tinykvm/linux/memory_calls.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

// Copies what is not zero: the target is fresh, and untouched pages should stay free of cost. With `give_back` each
// part that has been copied is unmapped, so that no memory is needed for both.
int copy_pages(SyscallContext& call, GuestAddr from, GuestAddr to, std::uint64_t size, bool give_back) {
    static constexpr std::array<std::byte, page_size> zeros{};
    for (std::uint64_t done = 0; done < size; done += page_size) {
        if (done % transfer_piece == 0) {
            call.waiter.check();
            if (give_back && done != 0) {
                if (const int error = call.memory.unmap(from + done - transfer_piece, transfer_piece)) return error;
            }
            call.memory.enforce_limit();
        }
        const auto source = call.memory.readable(from + done, page_size);
        if (source.size() != page_size) return -EFAULT;
        if (std::memcmp(source.data(), zeros.data(), page_size) == 0) continue;
        const auto target = call.memory.writable(to + done, page_size);
        if (target.size() != page_size) return -EFAULT;
        std::memcpy(target.data(), source.data(), page_size);
    }
    return 0;
}

// The traits of the mapping that begins at this address of a region.
MappingTraits traits_at(const Region& region, GuestAddr address) {
    MappingTraits traits = region.traits;
    if (traits.inode != 0) traits.offset += address - region.begin;
    return traits;
}

// Moves [from, from+old_size) to [to, to+new_size), which is not smaller, and is free or may be replaced.
std::int64_t move(SyscallContext& call, const Region& region, GuestAddr from, std::uint64_t old_size, GuestAddr to,
                  std::uint64_t new_size, bool keep_old) {
    const Protection protection = region.protection;
    const std::string name = region.name;
    constexpr Protection read_write{true, true, false};
    if (const int error = call.memory.map(to, new_size, read_write, name)) return error;
    const MappingTraits traits = traits_at(region, from);
    // A mapping without access keeps its bytes; they are made readable for the copy, while the guest stands
    // still.
    int error = protection.read ? 0 : call.memory.protect(from, old_size, read_write);
    if (error == 0) error = copy_pages(call, from, to, old_size, !keep_old);
    if (error == 0 && protection != read_write) error = call.memory.protect(to, new_size, protection);
    if (error == 0) error = set_traits(call, to, new_size, traits);
    if (error != 0) {
        (void)call.memory.protect(from, old_size, protection);
        (void)call.memory.unmap(to, new_size);
        return error;
    }
    if (keep_old) {  // MREMAP_DONTUNMAP: the old range stays, empty
        error = call.memory.map(from, old_size, protection, name);
        if (error == 0) error = set_traits(call, from, old_size, traits);
    } else {
        error = call.memory.unmap(from, old_size);
    }
    return error ? error : static_cast<std::int64_t>(to);
}

// The same of a shared mapping of an in-memory file: nothing has to be copied.
std::int64_t move_shared(SyscallContext& call, const Region& region, GuestAddr from, std::uint64_t old_size,
                         GuestAddr to, std::uint64_t new_size, bool keep_old) {
    const std::uint64_t offset = region.file_offset + (from - region.begin);
    if (to == 0) {
        const auto found = call.memory.find_free_for_file(new_size);
        if (!found || !is_user_range(*found, new_size)) return -ENOMEM;
        to = *found;
    }
    if (const int error =
            call.memory.map_shared_file(to, new_size, region.protection, region.name, region.shared_file, offset))
        return error;
    int error = set_traits(call, to, new_size, traits_at(region, from));
    if (error == 0 && !keep_old && old_size != 0) error = call.memory.unmap(from, old_size);
    return error ? error : static_cast<std::int64_t>(to);
}

}  // namespace

std::int64_t sys_mremap(SyscallContext& call) {
    const GuestAddr from = call.args[0];
    const int flags = call.int_arg(3);
    if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) return -EINVAL;
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE)) return -EINVAL;
    if (from % page_size != 0 || call.args[2] == 0) return -EINVAL;
    if (call.args[1] > x86::user_end || call.args[2] > x86::user_end)
        return call.args[1] > x86::user_end ? -EINVAL : -ENOMEM;
    std::uint64_t old_size = page_ceil(call.args[1]);
    const std::uint64_t new_size = page_ceil(call.args[2]);
    const Region* region = is_user_range(from, page_size) ? call.memory.regions().find(from) : nullptr;
    // A size of 0 maps shared memory once more.
    const bool again = old_size == 0 && region && region->shared_file != 0 && (flags & MREMAP_MAYMOVE);
    if (old_size == 0 && !again) return -EINVAL;
    if ((flags & MREMAP_DONTUNMAP) && old_size != new_size) return -EINVAL;
    GuestAddr to = 0;
    if (flags & MREMAP_FIXED) {
        to = call.args[4];
        if (to % page_size != 0 || !is_user_range(to, new_size)) return -EINVAL;
        if (to < from + old_size && from < to + new_size) return -EINVAL;  // overlaps
        note_unmapping(call, to, to + new_size);
    }
    if (again) return move_shared(call, Region(*region), from, 0, to, new_size, false);
    if (!is_user_range(from, old_size)) return -EFAULT;
    if (!region) return -EFAULT;
    note_unmapping(call, from, from + old_size);
    if (call.memory.shared().overlaps(from, from + old_size)) return -EPERM;
    if (new_size < old_size) {
        // The rest is unmapped first, whatever mappings it consists of; what is moved then must be one mapping.
        if (const int error = call.memory.unmap(from + new_size, old_size - new_size)) return error;
        old_size = new_size;
        region = call.memory.regions().find(from);
    }
    const bool stays = !(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP));
    if (stays && new_size == old_size) return static_cast<std::int64_t>(from);
    if (region->end - from < old_size) return -EFAULT;
    if (new_size > old_size && region->names_file() && region->shared_file == 0) return -ENOMEM;

    if (stays) {
        const GuestAddr end = from + old_size;
        const std::uint64_t more = new_size - old_size;
        if (region->end == end && is_user_range(end, more) && !call.memory.regions().overlaps(end, end + more)) {
            const Region grown = *region;
            int error = grown.shared_file != 0
                            ? call.memory.map_shared_file(end, more, grown.protection, grown.name, grown.shared_file,
                                                          grown.file_offset + (grown.end - grown.begin))
                            : call.memory.map(end, more, grown.protection, grown.name);
            if (error == 0) error = set_traits(call, end, more, traits_at(grown, end));
            return error ? error : static_cast<std::int64_t>(from);
        }
        if (!(flags & MREMAP_MAYMOVE)) return -ENOMEM;
    }
    if (region->shared_file != 0)
        return move_shared(call, Region(*region), from, old_size, to, new_size, flags & MREMAP_DONTUNMAP);
    if (to == 0) {
        const auto found = call.memory.find_free(new_size);
        if (!found || !is_user_range(*found, new_size)) return -ENOMEM;
        to = *found;
    }
    const Region source = *region;
    return move(call, source, from, old_size, to, new_size, flags & MREMAP_DONTUNMAP);
}

}  // namespace tinykvm::linux_abi
