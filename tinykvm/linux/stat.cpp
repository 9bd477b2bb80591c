// stat, access, readlink and statfs in all their forms.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;
static_assert(sizeof(struct stat) == 144, "the C library's struct is the kernel's on x86-64");
static_assert(sizeof(struct statx) == 256);

// Returns 0 or a negative errno.
int status_of(const SyscallContext& call, const Location& found, struct stat& status, bool follow) {
    switch (found.kind) {
        case Location::Kind::nothing: return found.error;
        case Location::Kind::host: status = found.status; break;
        case Location::Kind::memory: status = memory_status(call, found.inode); break;
        case Location::Kind::directory: status = made_up_status(S_IFDIR | 0555, found.path); break;
        case Location::Kind::link:
            status = made_up_status(S_IFLNK | 0777, found.path);
            status.st_size = static_cast<off_t>(found.target.size());
            break;
        case Location::Kind::pseudo:
            if (follow && found.file.kind == PseudoFile::Kind::descriptor) {
                const OpenFile& file = *call.state.files.find(found.file.number);
                return file.kind->status(call, file, status);
            }
            status = pseudo_status(found.file, found.path);
            break;
    }
    return 0;
}

constexpr int stat_flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

int status_at(const SyscallContext& call, int directory, GuestAddr path, int flags, struct stat& status) {
    const PathAt at = read_path_at(call, directory, path, flags & AT_EMPTY_PATH);
    if (at.error) return at.error;
    if (at.self) return at.self->kind->status(call, *at.self, status);
    const bool follow = !(flags & AT_SYMLINK_NOFOLLOW);
    return status_of(call, look_up(call, at, follow ? GuestFileSystem::Last::follow : GuestFileSystem::Last::keep_link),
                     status, follow);
}

std::int64_t answer(const SyscallContext& call, int error, const struct stat& status, GuestAddr address) {
    if (error) return error;
    return call.memory.write(address, status) ? 0 : -EFAULT;
}

std::int64_t stat_at(const SyscallContext& call, int directory, GuestAddr path, int flags, GuestAddr address) {
    struct stat status;
    std::memset(&status, 0, sizeof status);
    const int error = status_at(call, directory, path, flags, status);
    return answer(call, error, status, address);
}

// R_OK, W_OK, X_OK against what a guest can do. Returns 0 or a negative errno.
int check_access(const SyscallContext& call, const Location& found, int mode) {
    switch (found.kind) {
        case Location::Kind::nothing: return found.error;
        case Location::Kind::memory:
            return found.is_link() || may_access(*call.state.memory_tree->find(found.inode), mode) ? 0 : -EACCES;
        case Location::Kind::directory:
        case Location::Kind::link: return mode & W_OK ? -EROFS : 0;
        case Location::Kind::pseudo:
            if (found.file.kind == PseudoFile::Kind::text && (mode & W_OK)) return -EACCES;
            return mode & X_OK ? -EACCES : 0;
        case Location::Kind::host: break;
    }
    if ((mode & W_OK) && !found.writable() && !found.is_link()) return -EROFS;
    if (mode == F_OK) return 0;
    const long result = ::syscall(SYS_faccessat2, found.handle.get(), "", mode, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    return result == 0 ? 0 : -errno;
}

std::int64_t access_at(const SyscallContext& call, int directory, GuestAddr path, int mode, int flags) {
    if ((mode & ~(R_OK | W_OK | X_OK)) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))) return -EINVAL;
    const PathAt at = read_path_at(call, directory, path, flags & AT_EMPTY_PATH);
    if (at.error) return at.error;
    if (at.self) {
        if (mode == F_OK) return 0;
        if (at.self->inode != 0) return may_access(*call.state.memory_tree->find(at.self->inode), mode) ? 0 : -EACCES;
        if (at.self->path.empty()) return mode & X_OK ? -EACCES : 0;
        return check_access(call, look_up(call, "/", at.self->path, GuestFileSystem::Last::keep_link), mode);
    }
    const bool follow = !(flags & AT_SYMLINK_NOFOLLOW);
    return check_access(
        call, look_up(call, at, follow ? GuestFileSystem::Last::follow : GuestFileSystem::Last::keep_link), mode);
}

// The target of a link that was opened with O_PATH; empty when the file is none.
std::string target_of(const SyscallContext& call, const OpenFile& file) {
    if (file.inode != 0) return call.state.memory_tree->find(file.inode)->target;
    char target[max_path];
    const ssize_t length = file.host ? ::readlinkat(file.host->fd(), "", target, sizeof target) : -1;
    return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

// The target of the link at a path. Returns 0 or a negative errno.
int read_target(const SyscallContext& call, const PathAt& at, std::string& target) {
    if (at.self) {
        target = target_of(call, *at.self);
        return target.empty() ? -ENOENT : 0;
    }
    const Location found = look_up(call, at, GuestFileSystem::Last::keep_link);
    if (!found.exists()) return found.error;
    if (found.file.kind == PseudoFile::Kind::descriptor) {
        const OpenFile& file = *call.state.files.find(found.file.number);
        target = file.path.empty() ? "pipe:[1]" : file.path;
    } else if (found.is_link()) {
        target = GuestFileSystem::read_target(found);
    } else {
        return -EINVAL;
    }
    return target.empty() ? -ENOENT : 0;
}

std::int64_t read_link(const SyscallContext& call, int directory, GuestAddr path, GuestAddr address, int size) {
    if (size <= 0) return -EINVAL;
    const PathAt at = read_path_at(call, directory, path, directory != AT_FDCWD);
    if (at.error) return at.error;
    std::string target;
    if (const int error = read_target(call, at, target)) return error;
    const std::size_t length = std::min(target.size(), static_cast<std::size_t>(size));
    return call.memory.write(address, target.data(), length) ? static_cast<std::int64_t>(length) : -EFAULT;
}

struct statx to_statx(const struct stat& status) {
    struct statx wide;
    std::memset(&wide, 0, sizeof wide);
    wide.stx_mask = STATX_BASIC_STATS;
    wide.stx_blksize = static_cast<std::uint32_t>(status.st_blksize);
    wide.stx_nlink = static_cast<std::uint32_t>(status.st_nlink);
    wide.stx_uid = status.st_uid;
    wide.stx_gid = status.st_gid;
    wide.stx_mode = static_cast<std::uint16_t>(status.st_mode);
    wide.stx_ino = status.st_ino;
    wide.stx_size = static_cast<std::uint64_t>(status.st_size);
    wide.stx_blocks = static_cast<std::uint64_t>(status.st_blocks);
    const auto stamp = [](const timespec& time) {
        struct statx_timestamp result;
        std::memset(&result, 0, sizeof result);
        result.tv_sec = time.tv_sec;
        result.tv_nsec = static_cast<std::uint32_t>(time.tv_nsec);
        return result;
    };
    wide.stx_atime = stamp(status.st_atim);
    wide.stx_mtime = stamp(status.st_mtim);
    wide.stx_ctime = stamp(status.st_ctim);
    wide.stx_rdev_major = major(status.st_rdev);
    wide.stx_rdev_minor = minor(status.st_rdev);
    wide.stx_dev_major = major(status.st_dev);
    wide.stx_dev_minor = minor(status.st_dev);
    return wide;
}

std::int64_t file_system(const SyscallContext& call, int host_fd, std::string_view path, GuestAddr address) {
    struct statfs info;
    std::memset(&info, 0, sizeof info);
    if (host_fd >= 0) {
        if (::fstatfs(host_fd, &info) != 0) return -errno;
    } else {
        constexpr decltype(info.f_type) types[] = {TMPFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, TMPFS_MAGIC};
        info.f_type = types[pseudo_tree(path)];
        info.f_bsize = info.f_frsize = page_size;
        info.f_namelen = 255;
    }
    return call.memory.write(address, info) ? 0 : -EFAULT;
}

std::int64_t in_memory_file_system(const SyscallContext& call, GuestAddr address) {
    return call.memory.write(address, memory_file_system(call)) ? 0 : -EFAULT;
}

}  // namespace

std::int64_t sys_stat(SyscallContext& call) { return stat_at(call, AT_FDCWD, call.args[0], 0, call.args[1]); }
std::int64_t sys_lstat(SyscallContext& call) {
    return stat_at(call, AT_FDCWD, call.args[0], AT_SYMLINK_NOFOLLOW, call.args[1]);
}

std::int64_t sys_fstat(SyscallContext& call) {
    const OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    struct stat status;
    std::memset(&status, 0, sizeof status);
    const int error = file->kind->status(call, *file, status);
    return answer(call, error, status, call.args[1]);
}

std::int64_t sys_newfstatat(SyscallContext& call) {
    const int flags = call.int_arg(3);
    if (flags & ~stat_flags) return -EINVAL;
    return stat_at(call, call.int_arg(0), call.args[1], flags, call.args[2]);
}

std::int64_t sys_statx(SyscallContext& call) {
    const int flags = call.int_arg(2);
    if (flags & ~(stat_flags | AT_STATX_SYNC_TYPE)) return -EINVAL;
    if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (call.args[3] & STATX__RESERVED)) return -EINVAL;
    struct stat status;
    std::memset(&status, 0, sizeof status);
    if (const int error = status_at(call, call.int_arg(0), call.args[1], flags & stat_flags, status)) return error;
    const struct statx wide = to_statx(status);
    return call.memory.write(call.args[4], wide) ? 0 : -EFAULT;
}

std::int64_t sys_access(SyscallContext& call) { return access_at(call, AT_FDCWD, call.args[0], call.int_arg(1), 0); }
std::int64_t sys_faccessat(SyscallContext& call) {
    return access_at(call, call.int_arg(0), call.args[1], call.int_arg(2), 0);
}
std::int64_t sys_faccessat2(SyscallContext& call) {
    return access_at(call, call.int_arg(0), call.args[1], call.int_arg(2), call.int_arg(3));
}

std::int64_t sys_readlink(SyscallContext& call) {
    return read_link(call, AT_FDCWD, call.args[0], call.args[1], call.int_arg(2));
}
std::int64_t sys_readlinkat(SyscallContext& call) {
    return read_link(call, call.int_arg(0), call.args[1], call.args[2], call.int_arg(3));
}

std::int64_t sys_statfs(SyscallContext& call) {
    const PathAt at = read_path_at(call, AT_FDCWD, call.args[0]);
    if (at.error) return at.error;
    const Location found = look_up(call, at, GuestFileSystem::Last::follow);
    if (!found.exists()) return found.error;
    if (found.kind == Location::Kind::memory) return in_memory_file_system(call, call.args[1]);
    return file_system(call, found.kind == Location::Kind::host ? found.handle.get() : -1, found.path, call.args[1]);
}

std::int64_t sys_fstatfs(SyscallContext& call) {
    const OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    if (file->inode != 0) return in_memory_file_system(call, call.args[1]);
    return file_system(call, file->host ? file->host->fd() : -1, file->path, call.args[1]);
}

}  // namespace tinykvm::linux_abi
