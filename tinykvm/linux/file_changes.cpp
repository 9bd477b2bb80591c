// Changing what exists: length, mode, times. Only files below writable rules can be changed; others answer EROFS.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;

// Opens what a path denotes on the host, if it may be changed, and hands it over in `opened`. Returns 0 or a negative
// errno. Where `flags` open it for reading only, modes and times can be changed.
int open_to_change(const SyscallContext& call, const PathAt& at, GuestFileSystem::Last last, int flags,
                   FileDescriptor& opened) {
    if (const int error = refuse_change(call, at)) return error;
    const Location found = look_up(call, at, last);
    if (!found.exists()) return found.error;
    if (found.kind == Location::Kind::pseudo || found.is_link()) return -EPERM;
    if (!found.writable()) return -EROFS;
    if (!S_ISREG(found.status.st_mode) && !found.is_directory()) return -EACCES;
    const int fd = call.state.file_system->open(found, flags);
    if (fd < 0) return fd;
    opened = FileDescriptor(fd);
    // The file may have been replaced since it was looked at.
    struct stat status {};
    return ::fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) ? 0 : -EACCES;
}

// The same for an open descriptor of the guest, by its path, because descriptors of directories are names only.
int open_to_change(const SyscallContext& call, const OpenFile& file, FileDescriptor& opened) {
    if (file.path.empty()) return -EPERM;
    return open_to_change(call, PathAt{.base = "/", .path = file.path}, GuestFileSystem::Last::keep_link, O_RDONLY,
                          opened);
}

std::int64_t change_mode(const SyscallContext& call, const PathAt& at, unsigned mode) {
    if (at.error) return at.error;
    FileDescriptor fd;
    if (const int error = open_to_change(call, at, GuestFileSystem::Last::follow, O_RDONLY, fd)) return error;
    return ::fchmod(fd.get(), mode & 0777) == 0 ? 0 : -errno;
}

// An owner cannot be changed; only a change to what it is already succeeds.
std::int64_t change_owner(const SyscallContext& call, const PathAt& at, int user, int group, bool follow) {
    if (at.error) return at.error;
    if (const int error = refuse_change(call, at)) return error;
    const Location found = look_up(call, at, follow ? GuestFileSystem::Last::follow : GuestFileSystem::Last::keep_link);
    if (!found.exists()) return found.error;
    if (!found.writable()) return -EROFS;
    return (user == -1 || user == user_id) && (group == -1 || group == user_id) ? 0 : -EPERM;
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
    return file->kind->sync ? file->kind->sync(*file) : -EINVAL;
}

std::int64_t sys_sync(SyscallContext&) { return 0; }

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
    FileDescriptor fd;
    if (const int error = open_to_change(call, at, GuestFileSystem::Last::follow, O_WRONLY, fd)) return error;
    return ::ftruncate(fd.get(), length) == 0 ? 0 : -errno;
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
    FileDescriptor fd;
    if (const int error = open_to_change(call, *file, fd)) return error;
    return ::fchmod(fd.get(), static_cast<unsigned>(call.args[1]) & 0777) == 0 ? 0 : -errno;
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
    PathAt at = read_path_at(call, call.int_arg(0), call.args[1], flags & AT_EMPTY_PATH);
    if (at.self) {
        if (at.self->path.empty()) return -EPERM;
        at = PathAt{.base = "/", .path = at.self->path};
    }
    return change_owner(call, at, call.int_arg(2), call.int_arg(3), !(flags & AT_SYMLINK_NOFOLLOW));
}
std::int64_t sys_fchown(SyscallContext& call) {
    const OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    if (file->path.empty()) return -EPERM;
    return change_owner(call, PathAt{.base = "/", .path = file->path}, call.int_arg(1), call.int_arg(2), false);
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
    FileDescriptor fd;
    const int error = at.self ? open_to_change(call, *at.self, fd) : open_to_change(call, at, last, O_RDONLY, fd);
    if (error) return error;
    return ::futimens(fd.get(), times) == 0 ? 0 : -errno;
}

std::int64_t sys_no_attributes(SyscallContext&) { return -EOPNOTSUPP; }

}  // namespace tinykvm::linux_abi
