#include "tinykvm/linux/files/host_locks.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tinykvm/linux/guest_file_system.hpp"

namespace tinykvm::linux_abi {

namespace {

// How long to wait before the lock is tried again while another process holds it.
constexpr auto pause = std::chrono::milliseconds(2);

// Returns the host's descriptor that holds this description's locks; -1 when the file cannot be opened once more.
int lock_handle(SyscallContext& call, OpenFile& file) {
    // With more than one reference it also belongs to the snapshot or another fork, and must not be changed here.
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

// `attempt` returns 0, or -1 with errno set. When the lock is taken and the guest wants to wait, its thread is parked
// and tries again later.
template <typename Attempt>
std::int64_t acquire(SyscallContext& call, bool waits, Attempt attempt) {
    if (attempt() == 0) return 0;
    const int error = errno == EACCES || errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (error != -EAGAIN || !waits) return error;
    return call.park({.what = Wait::For::time, .until = Clock::now() + pause});
}

}  // namespace

std::int64_t lock_host_range(SyscallContext& call, OpenFile& file, int command, struct flock& lock) {
    if (!file.writable) {  // What no guest writes needs no locks.
        if (command == F_GETLK) lock.l_type = F_UNLCK;
        return 0;
    }
    const int fd = lock_handle(call, file);
    if (fd < 0) return -ENOLCK;
    // The position of that descriptor is not the guest's.
    if (lock.l_whence == SEEK_CUR) {
        if (__builtin_add_overflow(lock.l_start, static_cast<off_t>(file.offset), &lock.l_start)) return -EOVERFLOW;
        lock.l_whence = SEEK_SET;
    }
    lock.l_pid = 0;
    if (command == F_GETLK) return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 ? 0 : -errno;
    return acquire(call, command == F_SETLKW, [&] { return ::fcntl(fd, F_OFD_SETLK, &lock); });
}

std::int64_t lock_host_file(SyscallContext& call, OpenFile& file, int operation) {
    if (!file.writable) return 0;
    const int fd = lock_handle(call, file);
    if (fd < 0) return -ENOLCK;
    return acquire(call, !(operation & LOCK_NB), [&] { return ::flock(fd, operation | LOCK_NB); });
}

}  // namespace tinykvm::linux_abi
