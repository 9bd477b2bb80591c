// Changing what exists: length, mode, times. In-memory files can be changed, and those below writable rules; others
// answer EROFS.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tinykvm/linux/kept_file.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;

// What is to be changed: a file of the host, or an in-memory one.
struct Target {
    FileDescriptor host;
    FileId inode = 0;
};

// Finds what a path denotes, if it may be changed. Returns 0 or a negative errno. Where `flags` open it for reading
// only, modes and times can be changed.
int find_target(const SyscallContext& call, const PathAt& at, GuestFileSystem::Last last, int flags, Target& target) {
    if (const int error = refuse_change(call, at)) return error;
    const Location found = look_up(call, at, last);
    if (!found.exists()) return found.error;
    if (found.kind == Location::Kind::memory) {
        target.inode = found.inode;
        return 0;
    }
    if (found.kind == Location::Kind::pseudo || found.is_link()) return -EPERM;
    if (!found.writable()) return -EROFS;
    if (!S_ISREG(found.status.st_mode) && !found.is_directory()) return -EACCES;
    const int fd = call.state.file_system->open(found, flags);
    if (fd < 0) return fd;
    target.host = FileDescriptor(fd);
    // The file may have been replaced since it was looked at.
    struct stat status {};
    return ::fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) ? 0 : -EACCES;
}

// The same for an open descriptor of the guest: by its path, because descriptors of directories are names only.
int find_target(const SyscallContext& call, const OpenFile& file, Target& target) {
    target.inode = file.inode;
    if (file.inode != 0) return 0;
    if (file.path.empty()) return -EPERM;
    return find_target(call, PathAt{.base = "/", .path = file.path}, GuestFileSystem::Last::keep_link, O_RDONLY,
                       target);
}

// The program may change the mode, the times and so on of what is its own.
bool is_own(const SyscallContext& call, FileId inode) {
    return call.state.memory_tree->find(inode)->user == static_cast<std::uint32_t>(user_id);
}

std::int64_t set_mode(SyscallContext& call, const Target& target, unsigned mode) {
    if (target.inode == 0) return ::fchmod(target.host.get(), mode & 0777) == 0 ? 0 : -errno;
    if (!is_own(call, target.inode)) return -EPERM;
    MemoryInode& inode = call.state.memory_tree.change().change(target.inode);
    inode.mode = (inode.mode & S_IFMT) | (mode & 07777);
    inode.changed = time_now();
    return 0;
}

std::int64_t change_mode(SyscallContext& call, const PathAt& at, unsigned mode) {
    if (at.error) return at.error;
    Target target;
    if (const int error = find_target(call, at, GuestFileSystem::Last::follow, O_RDONLY, target)) return error;
    return set_mode(call, target, mode);
}

// An owner cannot be changed; only a change to what it is already succeeds.
std::int64_t set_owner(SyscallContext& call, const Target& target, int user, int group) {
    const bool same = (user == -1 || user == user_id) && (group == -1 || group == user_id);
    if (!same || (target.inode != 0 && !is_own(call, target.inode))) return -EPERM;
    if (target.inode != 0) call.state.memory_tree.change().change(target.inode).changed = time_now();
    return 0;
}

std::int64_t change_owner(SyscallContext& call, const PathAt& at, int user, int group, bool follow) {
    if (at.error) return at.error;
    if (const int error = refuse_change(call, at)) return error;
    const Location found = look_up(call, at, follow ? GuestFileSystem::Last::follow : GuestFileSystem::Last::keep_link);
    if (!found.exists()) return found.error;
    if (!found.writable()) return -EROFS;
    return set_owner(call, Target{.host = {}, .inode = found.inode}, user, group);
}

std::int64_t change_owner(SyscallContext& call, const OpenFile& file, int user, int group) {
    if (file.inode != 0) return set_owner(call, Target{.host = {}, .inode = file.inode}, user, group);
    if (file.path.empty()) return -EPERM;
    return change_owner(call, PathAt{.base = "/", .path = file.path}, user, group, false);
}

std::int64_t set_times(SyscallContext& call, const Target& target, const timespec (&times)[2]) {
    if (target.inode == 0) return ::futimens(target.host.get(), times) == 0 ? 0 : -errno;
    const bool both_now = times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW;
    if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT) return 0;
    if (!is_own(call, target.inode) && !(both_now && may_access(*call.state.memory_tree->find(target.inode), W_OK)))
        return both_now ? -EACCES : -EPERM;
    MemoryInode& inode = call.state.memory_tree.change().change(target.inode);
    inode.changed = time_now();
    timespec* const stamps[] = {&inode.accessed, &inode.modified};
    for (int i = 0; i < 2; ++i)
        if (times[i].tv_nsec != UTIME_OMIT) *stamps[i] = times[i].tv_nsec == UTIME_NOW ? inode.changed : times[i];
    return 0;
}

bool is_time(const timespec& time) {
    return time.tv_nsec == UTIME_NOW || time.tv_nsec == UTIME_OMIT ||
           (time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000);
}

}  // namespace

// fsync, fdatasync, syncfs
std::int64_t sys_fsync(SyscallContext& call) {
    const OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    return file->kind->sync ? file->kind->sync(call, *file) : -EINVAL;
}

std::int64_t sys_sync(SyscallContext& call) {
    (void)save_kept_file(call);
    return 0;
}

std::int64_t sys_ftruncate(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    const auto length = static_cast<std::int64_t>(call.args[1]);
    if (length < 0 || !file->kind->truncate || !file->writes()) return -EINVAL;
    return file->kind->truncate(call, *file, length);
}

std::int64_t sys_truncate(SyscallContext& call) {
    const auto length = static_cast<std::int64_t>(call.args[1]);
    if (length < 0) return -EINVAL;
    const PathAt at = read_path_at(call, AT_FDCWD, call.args[0]);
    if (at.error) return at.error;
    Target target;
    if (const int error = find_target(call, at, GuestFileSystem::Last::follow, O_WRONLY, target)) return error;
    if (target.inode == 0) return ::ftruncate(target.host.get(), length) == 0 ? 0 : -errno;
    const MemoryInode& inode = *call.state.memory_tree->find(target.inode);
    if (inode.is_directory()) return -EISDIR;
    return may_access(inode, W_OK) ? truncate_memory_file(call, target.inode, length) : -EACCES;
}

std::int64_t sys_fallocate(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    const auto offset = static_cast<std::int64_t>(call.args[2]), length = static_cast<std::int64_t>(call.args[3]);
    if (offset < 0 || length <= 0) return -EINVAL;
    if (!file->writes()) return -EBADF;
    return file->kind->allocate ? file->kind->allocate(call, *file, call.int_arg(1), offset, length) : -ENODEV;
}

std::int64_t sys_fadvise64(SyscallContext& call) {
    const OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    if (!file->kind->takes_advice) return -ESPIPE;
    return call.int_arg(3) >= POSIX_FADV_NORMAL && call.int_arg(3) <= POSIX_FADV_NOREUSE ? 0 : -EINVAL;
}

std::int64_t sys_chmod(SyscallContext& call) {
    return change_mode(call, read_path_at(call, AT_FDCWD, call.args[0]), static_cast<unsigned>(call.args[1]));
}
std::int64_t sys_fchmodat(SyscallContext& call) {
    return change_mode(call, read_path_at(call, call.int_arg(0), call.args[1]), static_cast<unsigned>(call.args[2]));
}
std::int64_t sys_fchmod(SyscallContext& call) {
    const OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    Target target;
    if (const int error = find_target(call, *file, target)) return error;
    return set_mode(call, target, static_cast<unsigned>(call.args[1]));
}

std::int64_t sys_chown(SyscallContext& call) {
    return change_owner(call, read_path_at(call, AT_FDCWD, call.args[0]), call.int_arg(1), call.int_arg(2), true);
}
std::int64_t sys_lchown(SyscallContext& call) {
    return change_owner(call, read_path_at(call, AT_FDCWD, call.args[0]), call.int_arg(1), call.int_arg(2), false);
}
std::int64_t sys_fchownat(SyscallContext& call) {
    const int flags = call.int_arg(4);
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    const PathAt at = read_path_at(call, call.int_arg(0), call.args[1], flags & AT_EMPTY_PATH);
    if (at.self) return change_owner(call, *at.self, call.int_arg(2), call.int_arg(3));
    return change_owner(call, at, call.int_arg(2), call.int_arg(3), !(flags & AT_SYMLINK_NOFOLLOW));
}
std::int64_t sys_fchown(SyscallContext& call) {
    const OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    return change_owner(call, *file, call.int_arg(1), call.int_arg(2));
}

std::int64_t sys_utimensat(SyscallContext& call) {
    const int flags = call.int_arg(3);
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (call.args[2]) {
        if (!call.memory.read(call.args[2], times)) return -EFAULT;
        if (!is_time(times[0]) || !is_time(times[1])) return -EINVAL;
    }
    PathAt at;
    if (call.args[1] == 0) {  // futimens
        at.self = call.file(0);
        if (!at.self) return -EBADF;
    } else {
        at = read_path_at(call, call.int_arg(0), call.args[1], flags & AT_EMPTY_PATH);
        if (at.error) return at.error;
    }
    const auto last = flags & AT_SYMLINK_NOFOLLOW ? GuestFileSystem::Last::keep_link : GuestFileSystem::Last::follow;
    Target target;
    const int error = at.self ? find_target(call, *at.self, target) : find_target(call, at, last, O_RDONLY, target);
    return error ? error : set_times(call, target, times);
}

std::int64_t sys_no_attributes(SyscallContext&) { return -EOPNOTSUPP; }

}  // namespace tinykvm::linux_abi
