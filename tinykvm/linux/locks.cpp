#include "tinykvm/linux/locks.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

// Somebody else holds the lock: how often to look again.
constexpr auto pause = std::chrono::milliseconds(2);

// The descriptor of the host that holds this description's locks; -1 when the file cannot be had again.
int lock_handle(SyscallContext& call, OpenFile& file) {
    // More than one reference: the snapshot's, or another fork's. It is not ours to change.
    if (file.locks && file.locks.use_count() == 1) return file.locks->fd();
    const GuestFileSystem& paths = *call.state.file_system;
    const GuestFileSystem::Location found = paths.resolve(call.state, "/", file.path, GuestFileSystem::Last::keep_link);
    struct stat ours {};
    if (found.kind != GuestFileSystem::Location::Kind::host || ::fstat(file.host->fd(), &ours) != 0) return -1;
    int fd = paths.open(found, O_RDWR);
    if (fd < 0) fd = paths.open(found, O_RDONLY);
    if (fd < 0) return -1;
    auto handle = std::make_shared<const HostFile>(FileDescriptor(fd));
    struct stat theirs {};
    if (::fstat(fd, &theirs) != 0 || ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) return -1;
    file.locks = std::move(handle);
    return fd;
}

// `attempt` returns 0 or -1 with errno; EAGAIN is tried again until the deadline when the guest wants to
// wait.
template <typename Attempt>
std::int64_t acquire(SyscallContext& call, bool waits, Attempt attempt) {
    if (attempt() == 0) return 0;
    const int error = errno == EACCES || errno == EWOULDBLOCK ? EAGAIN : errno;
    if (error != EAGAIN || !waits) return -error;
    return call.park({.what = Wait::For::time, .until = Clock::now() + pause});
}

}  // namespace

std::int64_t record_lock(SyscallContext& call, OpenFile& file, int command, GuestAddr address) {
    struct flock lock;
    if (!call.memory.read(address, lock)) return -EFAULT;
    if (lock.l_type != F_RDLCK && lock.l_type != F_WRLCK && lock.l_type != F_UNLCK) return -EINVAL;
    if (lock.l_whence < SEEK_SET || lock.l_whence > SEEK_END || file.kind != OpenFile::Kind::regular) return -EINVAL;
    if (command != F_GETLK &&
        ((lock.l_type == F_WRLCK && !file.writes()) || (lock.l_type == F_RDLCK && !file.readable())))
        return -EBADF;
    if (!file.writable) {  // what nobody writes needs no locks
        if (command != F_GETLK) return 0;
        lock.l_type = F_UNLCK;
        return call.memory.write(address, lock) ? 0 : -EFAULT;
    }
    const int fd = lock_handle(call, file);
    if (fd < 0) return -ENOLCK;
    // The handle's own position means nothing.
    if (lock.l_whence == SEEK_CUR) {
        if (__builtin_add_overflow(lock.l_start, static_cast<off_t>(file.offset), &lock.l_start)) return -EOVERFLOW;
        lock.l_whence = SEEK_SET;
    }
    lock.l_pid = 0;
    if (command == F_GETLK) {
        if (::fcntl(fd, F_OFD_GETLK, &lock) != 0) return -errno;
        return call.memory.write(address, lock) ? 0 : -EFAULT;
    }
    return acquire(call, command == F_SETLKW, [&] { return ::fcntl(fd, F_OFD_SETLK, &lock); });
}

std::int64_t whole_lock(SyscallContext& call, OpenFile& file, int operation) {
    const int kind = operation & ~LOCK_NB;
    if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN) return -EINVAL;
    if (!file.writable || file.kind != OpenFile::Kind::regular) return 0;
    const int fd = lock_handle(call, file);
    if (fd < 0) return -ENOLCK;
    return acquire(call, !(operation & LOCK_NB), [&] { return ::flock(fd, kind | LOCK_NB); });
}

std::int64_t sys_flock(SyscallContext& call) {
    OpenFile* file = call.file(0);
    if (!file || file->kind == OpenFile::Kind::path) return -EBADF;
    return whole_lock(call, *file, call.int_arg(1));
}

}  // namespace tinykvm::linux_abi
