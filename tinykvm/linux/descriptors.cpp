// The descriptor table: closing, doubling, flags, pipes and event counters.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "tinykvm/linux/locks.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Kind = OpenFile::Kind;

// What F_SETFL may change. They are the guest's own: the host's descriptor never hears of them.
constexpr int settable = O_APPEND | O_NONBLOCK;

// What there is to read: in a pipe, whichever end it is asked of, or up to the end of a file; -errno.
std::int64_t bytes_left(const SyscallContext& call, const OpenFile& file) {
    switch (file.kind) {
        case Kind::pipe_reader:
        case Kind::pipe_writer:
        case Kind::socket: return static_cast<std::int64_t>(call.state.files.incoming(file).bytes.size());
        case Kind::input: {
            int count = 0;
            if (!call.options.host_stdin) return 0;
            return ::ioctl(STDIN_FILENO, FIONREAD, &count) == 0 ? std::max(count, 0) : -ENOTTY;
        }
        case Kind::text:
        case Kind::regular: {
            const std::int64_t size = file.size();
            return size < 0 ? size : std::max<std::int64_t>(0, size - static_cast<std::int64_t>(file.offset));
        }
        default: return -ENOTTY;
    }
}

// Two descriptors at once, by FileTable's `open`; their numbers go to `address`.
std::int64_t open_two(SyscallContext& call, int (FileTable::*open)(int, bool, int (&)[2]), int flags,
                      GuestAddr address) {
    int fds[2];
    if (!call.memory.is_writable(address, sizeof fds)) return -EFAULT;
    if (const int error = (call.state.files.*open)(flags & O_NONBLOCK, flags & O_CLOEXEC, fds)) return error;
    return call.memory.write(address, fds) ? 0 : -EFAULT;
}

std::int64_t open_pipe(SyscallContext& call, int flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) return -EINVAL;
    return open_two(call, &FileTable::open_pipe, flags, call.args[0]);
}

std::int64_t open_event(SyscallContext& call, int flags) {
    if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) return -EINVAL;
    OpenFile file;
    file.kind = Kind::event;
    file.flags = O_RDWR | (flags & EFD_NONBLOCK);
    file.semaphore = flags & EFD_SEMAPHORE;
    file.counter = static_cast<std::uint32_t>(call.args[0]);
    return call.state.files.open(std::move(file), flags & EFD_CLOEXEC);
}

}  // namespace

std::int64_t sys_close(SyscallContext& call) { return call.state.files.close(call.int_arg(0)); }

std::int64_t sys_close_range(SyscallContext& call) {
    constexpr unsigned unshare = 2, cloexec = 4;  // CLOSE_RANGE_...
    const auto first = static_cast<unsigned>(call.args[0]), last = static_cast<unsigned>(call.args[1]);
    const auto flags = static_cast<unsigned>(call.args[2]);
    if ((flags & ~(unshare | cloexec)) || first > last) return -EINVAL;
    if (flags & cloexec) {
        call.state.files.set_close_on_exec_range(first, last);
    } else {
        call.state.files.close_range(first, last);
    }
    return 0;
}

std::int64_t sys_dup(SyscallContext& call) { return call.state.files.duplicate(call.int_arg(0), false); }

std::int64_t sys_dup2(SyscallContext& call) {
    return call.state.files.duplicate_to(call.int_arg(0), call.int_arg(1), false);
}

std::int64_t sys_dup3(SyscallContext& call) {
    if (call.int_arg(2) & ~O_CLOEXEC) return -EINVAL;
    if (call.int_arg(0) == call.int_arg(1)) return -EINVAL;
    return call.state.files.duplicate_to(call.int_arg(0), call.int_arg(1), call.int_arg(2) & O_CLOEXEC);
}

std::int64_t sys_fcntl(SyscallContext& call) {
    FileTable& files = call.state.files;
    const int fd = call.int_arg(0), command = call.int_arg(1);
    OpenFile* file = files.find(fd);
    if (!file) return -EBADF;
    if (file->kind == Kind::path && command != F_DUPFD && command != F_DUPFD_CLOEXEC && command != F_GETFD &&
        command != F_SETFD && command != F_GETFL)
        return -EBADF;
    switch (command) {
        case F_DUPFD:
        case F_DUPFD_CLOEXEC: {
            const int lowest = call.int_arg(2);
            if (lowest < 0 || static_cast<std::size_t>(lowest) >= files.limit()) return -EINVAL;
            return files.duplicate(fd, command == F_DUPFD_CLOEXEC, lowest);
        }
        case F_GETFD: return files.close_on_exec(fd) ? FD_CLOEXEC : 0;
        case F_SETFD: files.set_close_on_exec(fd, call.int_arg(2) & FD_CLOEXEC); return 0;
        case F_GETFL: return file->flags;
        case F_SETFL: file->flags = (file->flags & ~settable) | (call.int_arg(2) & settable); return 0;
        case F_GETPIPE_SZ:
        case F_SETPIPE_SZ:
            if (file->kind != Kind::pipe_reader && file->kind != Kind::pipe_writer) return -EBADF;
            if (command == F_SETPIPE_SZ && call.args[2] > pipe_capacity) return -EPERM;
            return static_cast<std::int64_t>(pipe_capacity);
        case F_GETOWN: return 0;
        case F_SETLK:
        case F_SETLKW:
        case F_GETLK: return record_lock(call, *file, command, call.args[2]);
    }
    return -EINVAL;
}

std::int64_t sys_ioctl(SyscallContext& call) {
    OpenFile* file = call.file(0);
    if (!file || file->kind == Kind::path) return -EBADF;
    switch (static_cast<std::uint32_t>(call.args[1])) {
        case FIOCLEX: call.state.files.set_close_on_exec(call.int_arg(0), true); return 0;
        case FIONCLEX: call.state.files.set_close_on_exec(call.int_arg(0), false); return 0;
        case FIONBIO: {
            std::int32_t on = 0;
            if (!call.memory.read(call.args[2], on)) return -EFAULT;
            file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~O_NONBLOCK;
            return 0;
        }
        case FIONREAD: {
            const std::int64_t count = bytes_left(call, *file);
            if (count < 0) return count;
            const auto value = static_cast<std::int32_t>(std::min<std::int64_t>(count, INT32_MAX));
            return call.memory.write(call.args[2], value) ? 0 : -EFAULT;
        }
    }
    return -ENOTTY;  // nothing here is a terminal
}

std::int64_t sys_pipe(SyscallContext& call) { return open_pipe(call, 0); }
std::int64_t sys_pipe2(SyscallContext& call) { return open_pipe(call, call.int_arg(1)); }

// The only sockets there are: what event loops wake themselves with, as Python's asyncio does.
std::int64_t sys_socketpair(SyscallContext& call) {
    constexpr int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;  // O_CLOEXEC and O_NONBLOCK
    static_assert(SOCK_CLOEXEC == O_CLOEXEC && SOCK_NONBLOCK == O_NONBLOCK);
    constexpr int types = 0xf;
    const int type = call.int_arg(1);
    if (type & ~(types | flags)) return -EINVAL;
    if (call.int_arg(0) != AF_UNIX) return -EAFNOSUPPORT;
    if ((type & types) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
    if (call.int_arg(2) != 0 && call.int_arg(2) != AF_UNIX) return -EPROTONOSUPPORT;
    return open_two(call, &FileTable::open_socket_pair, type & flags, call.args[3]);
}

// They have no names.
std::int64_t sys_getsockname(SyscallContext& call) {
    const OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    if (file->kind != Kind::socket) return -ENOTSOCK;
    const sa_family_t family = AF_UNIX;
    std::int32_t room = 0;
    if (!call.memory.read(call.args[2], room)) return -EFAULT;
    if (room < 0) return -EINVAL;
    const auto size = std::min<std::size_t>(static_cast<std::size_t>(room), sizeof family);
    const bool written = call.memory.write(call.args[1], &family, size) &&
                         call.memory.write(call.args[2], static_cast<std::int32_t>(sizeof family));
    return written ? 0 : -EFAULT;
}

std::int64_t sys_eventfd(SyscallContext& call) { return open_event(call, 0); }
std::int64_t sys_eventfd2(SyscallContext& call) { return open_event(call, call.int_arg(1)); }

}  // namespace tinykvm::linux_abi
