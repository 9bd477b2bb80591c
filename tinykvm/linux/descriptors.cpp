// The descriptor table: closing, doubling, flags, pipes and event counters.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tinykvm/linux/call.hpp"
#include "tinykvm/linux/calls.hpp"
#include "tinykvm/linux/locks.hpp"

namespace tinykvm::linux_abi {

namespace {

using Kind = OpenFile::Kind;

// What F_SETFL may change. They are the guest's own: the host's descriptor never hears of them.
constexpr int settable = O_APPEND | O_NONBLOCK;

// Bytes that can be read without waiting; negative where the question makes no sense.
std::int64_t readable_bytes(const Call& call, const OpenFile& file) {
    switch (file.kind) {
        case Kind::pipe_reader:
        case Kind::pipe_writer: return static_cast<std::int64_t>(call.state.files.pipe(file).bytes.size());
        case Kind::input: {
            int count = 0;
            if (!call.options.host_stdin) return 0;
            return ::ioctl(STDIN_FILENO, FIONREAD, &count) == 0 ? std::max(count, 0) : -ENOTTY;
        }
        case Kind::text:
            return static_cast<std::int64_t>(file.text->size() -
                                             std::min<std::uint64_t>(file.offset, file.text->size()));
        case Kind::regular: {
            struct stat status {};
            if (::fstat(file.host->fd(), &status) != 0) return -errno;
            return std::max<std::int64_t>(0, status.st_size - static_cast<std::int64_t>(file.offset));
        }
        default: return -ENOTTY;
    }
}

std::int64_t open_pipe(Call& call, int flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) return -EINVAL;
    if (!call.memory.is_writable(call.args[0], 2 * sizeof(std::int32_t))) return -EFAULT;
    int fds[2];
    if (const int error = call.state.files.open_pipe(flags & O_NONBLOCK, flags & O_CLOEXEC, fds))
        return error;
    const std::int32_t pair[2] = {fds[0], fds[1]};
    return call.memory.write(call.args[0], pair) ? 0 : -EFAULT;
}

std::int64_t open_event(Call& call, int flags) {
    if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) return -EINVAL;
    OpenFile file;
    file.kind = Kind::event;
    file.flags = O_RDWR | (flags & EFD_NONBLOCK);
    file.semaphore = flags & EFD_SEMAPHORE;
    file.counter = static_cast<std::uint32_t>(call.args[0]);
    return call.state.files.open(std::move(file), flags & EFD_CLOEXEC);
}

}  // namespace

std::int64_t sys_close(Call& call) { return call.state.files.close(call.int_arg(0)); }

std::int64_t sys_close_range(Call& call) {
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

std::int64_t sys_dup(Call& call) { return call.state.files.duplicate(call.int_arg(0), false); }

std::int64_t sys_dup2(Call& call) {
    return call.state.files.duplicate_to(call.int_arg(0), call.int_arg(1), false);
}

std::int64_t sys_dup3(Call& call) {
    if (call.int_arg(2) & ~O_CLOEXEC) return -EINVAL;
    if (call.int_arg(0) == call.int_arg(1)) return -EINVAL;
    return call.state.files.duplicate_to(call.int_arg(0), call.int_arg(1), call.int_arg(2) & O_CLOEXEC);
}

std::int64_t sys_fcntl(Call& call) {
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
            return file->kind == Kind::pipe_reader || file->kind == Kind::pipe_writer
                       ? static_cast<std::int64_t>(pipe_capacity)
                       : -EBADF;
        case F_SETPIPE_SZ:
            if (file->kind != Kind::pipe_reader && file->kind != Kind::pipe_writer) return -EBADF;
            return call.args[2] <= pipe_capacity ? static_cast<std::int64_t>(pipe_capacity) : -EPERM;
        case F_GETOWN: return 0;
        case F_SETLK:
        case F_SETLKW:
        case F_GETLK: return record_lock(call, *file, command, call.args[2]);
    }
    return -EINVAL;
}

std::int64_t sys_ioctl(Call& call) {
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
            const std::int64_t count = readable_bytes(call, *file);
            if (count < 0) return count;
            const auto value = static_cast<std::int32_t>(std::min<std::int64_t>(count, INT32_MAX));
            return call.memory.write(call.args[2], value) ? 0 : -EFAULT;
        }
    }
    return -ENOTTY;  // nothing here is a terminal
}

std::int64_t sys_pipe(Call& call) { return open_pipe(call, 0); }
std::int64_t sys_pipe2(Call& call) { return open_pipe(call, call.int_arg(1)); }
std::int64_t sys_eventfd(Call& call) { return open_event(call, 0); }
std::int64_t sys_eventfd2(Call& call) { return open_event(call, call.int_arg(1)); }

}  // namespace tinykvm::linux_abi
