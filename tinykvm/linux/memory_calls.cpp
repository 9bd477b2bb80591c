// The mmap family, on GuestMemory. A mapping of a file of the host shows a copy of it, the guest's own or one that
// requests share: never the file, which others may truncate. A shared mapping of an in-memory file shows its own pages.
#include "tinykvm/linux/memory_calls.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

// Where MAP_32BIT puts mappings, as on Linux.
constexpr GuestAddr low_begin = 0x40000000, low_end = 0x80000000;
constexpr int prot_grows_down = 0x01000000;  // PROT_GROWSDOWN; stacks of guests do not grow

bool is_protection(int protection) { return !(protection & ~(PROT_READ | PROT_WRITE | PROT_EXEC)); }

// May a mapping with these flags and this protection show the file? Returns 0 or a negative errno.
int check_mappable(const SyscallContext& call, const OpenFile* file, int flags, int protection) {
    if (!file || file->kind->is_name) return -EBADF;
    if (!file->readable()) return -EACCES;
    if (file->kind->mapping == FileKind::Mapping::none) return -ENODEV;
    if (file->kind->mapping == FileKind::Mapping::memory_file && (flags & MAP_TYPE) != MAP_PRIVATE) {
        if (!(protection & PROT_WRITE)) return 0;
        const int seals = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
        return !file->writes() ? -EACCES : call.state.memory_tree->find(file->inode)->seals & seals ? -EPERM : 0;
    }
    // A mapping shows a copy of the file, so what a guest writes to a shared one would never reach the file.
    const bool shared = (flags & MAP_TYPE) != MAP_PRIVATE && file->kind->mapping == FileKind::Mapping::host_file;
    if (shared && (protection & PROT_WRITE)) return file->writes() ? -ENODEV : -EACCES;
    return 0;
}

std::int64_t copy_from_memory(const SyscallContext& call, FileId file, std::uint64_t& offset,
                              std::span<std::byte> piece) {
    std::size_t done = 0;
    while (done < piece.size()) {
        const auto bytes = call.memory.files().readable(file, offset, piece.size() - done);
        if (bytes.empty()) break;
        std::memcpy(piece.data() + done, bytes.data(), bytes.size());
        done += bytes.size();
        offset += bytes.size();
    }
    return static_cast<std::int64_t>(done);
}

// Copies the file's bytes over fresh zero pages. What lies after the end of the file stays zero. Returns 0 or a
// negative errno.
int copy_file(SyscallContext& call, const OpenFile& file, std::uint64_t offset, GuestAddr to, std::uint64_t size) {
    const std::int64_t copied = fill_guest(call, to, size, [&](std::span<std::byte> piece) -> std::int64_t {
        if (file.inode != 0) return copy_from_memory(call, file.inode, offset, piece);
        const ssize_t got = ::pread(file.host->fd(), piece.data(), piece.size(), static_cast<off_t>(offset));
        if (got > 0) offset += static_cast<std::uint64_t>(got);
        return got >= 0 ? got : -errno;
    });
    return copied >= 0 ? 0 : static_cast<int>(copied);
}

// Returns a copy of the whole file that requests share, if that pays for a mapping of `bytes` of it; else null.
std::shared_ptr<const FileCopy> shared_copy(const SyscallContext& call, const OpenFile& file, std::uint64_t file_size,
                                            std::uint64_t bytes) {
    FileCopies* copies = call.memory.file_copies();
    if (!copies || !file.host || bytes == 0 || file_size / 4 > bytes) return nullptr;
    auto copy = copies->get(file.host->fd(), [&] { call.waiter.check(); });
    return copy && copy->size() == file_size ? copy : nullptr;
}

// Maps the file from `offset` on at `range`. Returns 0 or a negative errno.
int map_file(SyscallContext& call, const OpenFile& file, GuestRange range, Protection protection, std::uint64_t offset,
             bool shared) {
    const std::uint64_t length = range.end - range.begin;
    // The host keeps the name of a mapping as long as the mapping, so names are kept short.
    const std::string name = file.path.substr(0, 255);
    if (shared && file.inode != 0)
        return call.memory.map_shared_file(range.begin, length, protection, name, file.inode, offset);
    const std::int64_t size =
        file.inode != 0 ? static_cast<std::int64_t>(call.memory.files().size(file.inode)) : file.size();
    if (size < 0) return static_cast<int>(size);
    const auto file_size = static_cast<std::uint64_t>(size);
    const std::uint64_t bytes = offset < file_size ? std::min(file_size - offset, length) : 0;
    // A mapping that cannot be read yet may be made readable later, and must have the file's bytes then.
    if (auto copy = protection.accessible() ? shared_copy(call, file, file_size, bytes) : nullptr)
        return call.memory.map_file(range.begin, length, protection, name, std::move(copy), offset);
    // The copy counts as memory the guest added; refuse what would break its limit before anything happens.
    const std::size_t limit = call.memory.limits().bytes;
    const auto fits = [&](std::size_t used) { return page_ceil(bytes) <= limit - std::min(used, limit); };
    if (!fits(call.memory.own_bytes()) && !fits(call.memory.changed_bytes())) {
        call.warn(Limit::memory);
        return -ENOMEM;
    }

    constexpr Protection read_write{true, true, false};
    if (const int error = call.memory.map(range.begin, length, read_write, name)) return error;
    int error = copy_file(call, file, offset, range.begin, bytes);
    if (error == 0 && protection != read_write) error = call.memory.protect(range.begin, length, protection);
    if (error != 0) (void)call.memory.unmap(range.begin, length);
    return error;
}

// What is remembered of a new mapping of `file`; null: of memory.
MappingTraits traits_of(const SyscallContext& call, const OpenFile* file, bool shared, bool writable,
                        std::uint64_t offset) {
    MappingTraits traits{.shared = shared};
    if (file) {
        struct stat status {};
        (void)file->kind->status(call, *file, status);  // the names of the file only matter to readers of maps
        traits.device = status.st_dev;
        traits.inode = status.st_ino;
        traits.offset = offset;
        // What a program writes to a copy of a file would never reach the file.
        traits.never_writable = shared && (file->inode == 0 || !file->writes());
        traits.was_writable = writable;
    } else if (shared) {
        traits.device = makedev(0, 1);  // where Linux keeps files without a name
        traits.inode = 1;
    }
    return traits;
}

struct MappingRequest {
    GuestAddr hint;
    std::uint64_t size;
    int flags;
    bool shows_pages;  // of an in-memory file: GuestMemory::map_shared_file()
};

int find_address(const SyscallContext& call, GuestAddr hint, const MappingRequest& wanted, GuestAddr& place) {
    const std::uint64_t size = wanted.size;
    const auto found =
        wanted.shows_pages ? call.memory.find_free_for_file(size, hint) : call.memory.find_free(size, hint);
    if (!found || !is_user_range(*found, size)) return -ENOMEM;
    place = *found;
    return 0;
}

// Chooses where the mapping goes. Returns 0 or a negative errno.
int choose_address(const SyscallContext& call, const MappingRequest& wanted, GuestAddr& place) {
    if (wanted.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (wanted.hint % page_size != 0) return -EINVAL;
        const GuestAddr end = wanted.hint + wanted.size;
        const bool user = is_user_range(wanted.hint, wanted.size);
        const bool available =
            user && !call.memory.is_closed(wanted.hint, end) && !call.memory.shared().overlaps(wanted.hint, end);
        if (!available && call.options.relocate_fixed_mappings && !(wanted.flags & MAP_FIXED_NOREPLACE))
            return find_address(call, 0, wanted, place);
        if (!user) return wanted.hint < x86::user_begin ? -EPERM : -ENOMEM;
        if ((wanted.flags & MAP_FIXED_NOREPLACE) &&
            call.memory.regions().overlaps(wanted.hint, wanted.hint + wanted.size))
            return -EEXIST;
        place = wanted.hint;
        return 0;
    }
    if (wanted.flags & MAP_32BIT) {
        const auto found = call.memory.find_gap(wanted.size, low_begin, low_end);
        if (!found) return -ENOMEM;
        place = *found;
        return 0;
    }
    const GuestAddr hint = page_floor(wanted.hint);
    return find_address(call, is_user_range(hint, wanted.size) ? hint : 0, wanted, place);
}

}  // namespace

bool is_user_range(GuestAddr begin, std::uint64_t size) {
    if (begin < x86::user_begin || begin >= x86::user_end || size == 0 || size > x86::user_end - begin) return false;
    return begin >= x86::system_end || begin + size <= x86::system_begin;
}

int set_traits(SyscallContext& call, GuestAddr begin, std::uint64_t size, const MappingTraits& traits) {
    const Region* region = call.memory.regions().find(begin);
    if (region && region->traits == traits && region->begin == begin) return 0;
    return call.memory.mark(begin, size, [&](MappingTraits& marked) { marked = traits; });
}

void note_unmapping(SyscallContext& call, GuestAddr begin, GuestAddr end) {
    const Regions& regions = call.memory.regions();
    for (auto entry = regions.first_ending_after(begin); entry != regions.end() && entry->first < end; ++entry)
        call.unmapped_files = call.unmapped_files || entry->second.shared_file != 0;
}

Protection to_protection(int protection) {
    return {(protection & PROT_READ) != 0, (protection & PROT_WRITE) != 0, (protection & PROT_EXEC) != 0};
}

std::int64_t sys_mmap(SyscallContext& call) {
    const MappingRequest given{call.args[0], call.args[1], call.int_arg(3), false};
    const int protection = call.int_arg(2), flags = given.flags;
    const std::uint64_t offset = call.args[5];
    const int type = flags & MAP_TYPE;

    if (given.size == 0 || offset % page_size != 0 || !is_protection(protection)) return -EINVAL;
    if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE) return -EINVAL;
    if (given.size > x86::user_end) return -ENOMEM;
    MappingRequest wanted{given.hint, page_ceil(given.size), flags, false};
    if (flags & MAP_HUGETLB) return -ENOMEM;  // there are none to give out
    if (type == MAP_SHARED_VALIDATE && (flags & MAP_SYNC)) return -EOPNOTSUPP;

    const OpenFile* file = nullptr;
    if (!(flags & MAP_ANONYMOUS)) {
        file = call.state.files.find(call.int_arg(4));
        if (const int error = check_mappable(call, file, flags, protection)) return error;
        if (offset + wanted.size < offset || offset + wanted.size > static_cast<std::uint64_t>(INT64_MAX))
            return -EOVERFLOW;
        wanted.shows_pages = file->kind->mapping == FileKind::Mapping::memory_file && type != MAP_PRIVATE;
        if (file->kind->mapping == FileKind::Mapping::zeros) file = nullptr;
    }
    GuestAddr place = 0;
    if (const int error = choose_address(call, wanted, place)) return error;
    note_unmapping(call, place, place + wanted.size);

    const Protection final = to_protection(protection);
    int error = file ? map_file(call, *file, {place, place + wanted.size}, final, offset, wanted.shows_pages)
                     : call.memory.map(place, wanted.size, final);
    if (error != 0) return error;
    error = set_traits(call, place, wanted.size, traits_of(call, file, type != MAP_PRIVATE, final.write, offset));
    if (error != 0) {
        (void)call.memory.unmap(place, wanted.size);
        return error;
    }
    return static_cast<std::int64_t>(place);
}

std::int64_t sys_munmap(SyscallContext& call) {
    const GuestAddr begin = call.args[0];
    if (begin % page_size != 0 || call.args[1] == 0 || begin >= x86::user_end || call.args[1] > x86::user_end - begin)
        return -EINVAL;
    const std::uint64_t size = page_ceil(call.args[1]);
    if (!is_user_range(begin, size)) return -EINVAL;
    if (!call.memory.regions().overlaps(begin, begin + size)) return 0;
    note_unmapping(call, begin, begin + size);
    return call.memory.unmap(begin, size);
}

std::int64_t sys_mprotect(SyscallContext& call) {
    const GuestAddr begin = call.args[0];
    const int protection = call.int_arg(2) & ~prot_grows_down;
    if (begin % page_size != 0 || !is_protection(protection)) return -EINVAL;
    if (call.args[1] == 0) return 0;
    if (begin >= x86::user_end || call.args[1] > x86::user_end - begin) return -ENOMEM;
    const std::uint64_t size = page_ceil(call.args[1]);
    if (!is_user_range(begin, size)) return -ENOMEM;
    // Linux goes from mapping to mapping and stops at a hole; what it did before that stays done.
    GuestAddr end = begin;
    bool forbidden = false;
    while (end < begin + size) {
        const Region* region = call.memory.regions().find(end);
        if (!region) break;
        if ((protection & PROT_WRITE) && region->traits.never_writable) {
            forbidden = true;
            break;
        }
        end = std::min(region->end, begin + size);
    }
    const int stopped = forbidden ? -EACCES : -ENOMEM;
    if (end == begin) return stopped;
    const int error = call.memory.protect(begin, end - begin, to_protection(protection));
    return error ? error : end == begin + size ? 0 : stopped;
}

std::int64_t sys_brk(SyscallContext& call) {
    ProcessState& state = call.state;
    const GuestAddr wanted = call.args[0];
    const auto current = static_cast<std::int64_t>(state.break_end);
    if (wanted < state.break_start || wanted > x86::user_end) return current;
    const GuestAddr before = page_ceil(state.break_end), after = page_ceil(wanted);
    if (after > before) {
        if (!is_user_range(before, after - before) || call.memory.regions().overlaps(before, after)) return current;
        if (call.memory.map(before, after - before, {true, true, call.options.executable_heap}, "[heap]") != 0)
            return current;
    } else if (after < before) {
        if (call.memory.unmap(after, before - after) != 0) return current;
    }
    state.break_end = wanted;
    return static_cast<std::int64_t>(wanted);
}

}  // namespace tinykvm::linux_abi
