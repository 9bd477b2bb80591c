// Directories: of the host, with what path rules add to them, and those that exist in the guest only.
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tinykvm/linux/directory_entries.hpp"
#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/host_tree.hpp"

namespace tinykvm::linux_abi {

namespace {

// Positions in a listing are those of the host's file system, so an open file needs to remember only a number. After
// the host's entries come those that exist in the guest only, counted from here; positions of the host are never that
// large.
constexpr std::uint64_t made_up_begin = std::uint64_t{1} << 63;

std::uint64_t made_up_inode(std::string_view name) {
    std::uint64_t hash = 1;
    for (unsigned char c : name) hash = hash * 31 + c;
    return hash;
}

using Children = std::vector<GuestFileSystem::Child>;

bool among(const Children& children, std::string_view name) {
    return std::any_of(children.begin(), children.end(), [&](const auto& child) { return child.name == name; });
}

// Drops entries that the guest has from elsewhere (`others`) or does not have at all. Returns the bytes that are left;
// `position` goes past all of the entries.
std::size_t keep_visible(int directory, const Children& others, std::uint64_t& position, std::span<std::byte> entries) {
    std::size_t kept = 0;
    for (std::size_t at = 0; at + entry_head_size <= entries.size();) {
        EntryHead head;
        std::memcpy(&head, entries.data() + at, entry_head_size);
        position = head.next & ~made_up_begin;
        const char* name = reinterpret_cast<const char*>(entries.data() + at + entry_head_size);
        // A mount point can also be a file, but of a file the list shows nothing but its name.
        const bool may_be_mount = head.type == DT_DIR || head.type == DT_UNKNOWN;
        const bool is_dots = std::string_view(name) == "." || std::string_view(name) == "..";
        if (is_dots || (!among(others, name) && !(may_be_mount && is_mount_of_kernel(directory, name)))) {
            std::memmove(entries.data() + kept, entries.data() + at, head.size);
            kept += head.size;
        }
        at += head.size;
    }
    return kept;
}

// Puts the host's next entries into `to`. Returns bytes or -errno. A new descriptor is opened each time, as forks would
// share the position of one that stays open.
std::int64_t list_host(const HostFile& directory, const Children& others, std::uint64_t& position,
                       std::span<std::byte> to) {
    const FileDescriptor fd(::openat(directory.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return -errno;
    if (position != 0 && ::lseek(fd.get(), static_cast<off_t>(position), SEEK_SET) < 0) return -errno;
    for (;;) {
        const long got = ::syscall(SYS_getdents64, fd.get(), to.data(), to.size());
        if (got <= 0) return got < 0 ? -errno : 0;
        const std::size_t kept = keep_visible(fd.get(), others, position, to.first(static_cast<std::size_t>(got)));
        if (kept > 0) return static_cast<std::int64_t>(kept);
    }
}

std::int64_t list_made_up(OpenFile& file, Children children, std::span<std::byte> to) {
    if (!file.host)
        children.insert(children.begin(), {{.name = ".", .is_directory = true}, {.name = "..", .is_directory = true}});
    std::size_t used = 0;
    for (std::size_t i = file.offset - made_up_begin; i < children.size(); ++i) {
        const GuestFileSystem::Child& child = children[i];
        if (child.exists) {
            const std::uint8_t type = child.is_link ? DT_LNK : child.is_directory ? DT_DIR : DT_UNKNOWN;
            const std::size_t size =
                put_entry(to.subspan(used), child.name, type, made_up_inode(child.name), made_up_begin + i + 1);
            if (size == 0) return used > 0 ? static_cast<std::int64_t>(used) : -EINVAL;
            used += size;
        }
        file.offset = made_up_begin + i + 1;
    }
    return static_cast<std::int64_t>(used);
}

std::int64_t list(const SyscallContext& call, OpenFile& file, std::span<std::byte> room) {
    const Children others = call.state.file_system->children(call.state, file.path);
    std::int64_t size = 0;
    if (file.host && file.offset < made_up_begin) {
        size = list_host(*file.host, others, file.offset, room);
        if (size == 0) file.offset = made_up_begin;
    } else if (!file.host && file.offset < made_up_begin) {
        file.offset = made_up_begin;
    }
    return size == 0 ? list_made_up(file, others, room) : size;
}

std::int64_t refuse_reading(SyscallContext&, OpenFile&, IoVectors, std::uint64_t*) { return -EISDIR; }

// Positions are those that getdents64 handed out; any other does no harm.
std::int64_t seek(const SyscallContext&, OpenFile& file, std::int64_t offset, int whence) {
    if (whence == SEEK_CUR && offset == 0) return static_cast<std::int64_t>(file.offset);
    if (whence != SEEK_SET) return -EINVAL;
    file.offset = static_cast<std::uint64_t>(offset);
    return offset;
}

std::int64_t sync(SyscallContext&, const OpenFile&) { return 0; }

}  // namespace

constinit const FileKind kinds::directory{.read = refuse_reading,
                                          .seek = seek,
                                          .status = host_or_pseudo_status,
                                          .readiness = always_ready,
                                          .list = list,
                                          .sync = sync,
                                          .empty_vectors_succeed = true};

}  // namespace tinykvm::linux_abi
