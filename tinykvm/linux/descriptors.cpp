// The descriptor table: closing, duplicating, flags, locks.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

// The flags that F_SETFL may change. They are the guest's own and never set on the host's descriptor.
constexpr int settable = O_APPEND | O_NONBLOCK;

bool asks(int command) { return command == F_GETLK || command == F_OFD_GETLK; }

// The locks of a process for those of an open file description. On the host both are the latter.
int plain_command(int command) {
    switch (command) {
        case F_OFD_GETLK: return F_GETLK;
        case F_OFD_SETLK: return F_SETLK;
        case F_OFD_SETLKW: return F_SETLKW;
        default: return command;
    }
}

// F_GETLK, F_SETLK, F_SETLKW and F_OFD_..., with the struct flock at `address`.
std::int64_t range_lock(SyscallContext& call, OpenFile& file, int command, GuestAddr address) {
    struct flock lock;
    if (!call.memory.read(address, lock)) return -EFAULT;
    if (lock.l_type != F_RDLCK && lock.l_type != F_WRLCK && lock.l_type != F_UNLCK) return -EINVAL;
    if (lock.l_whence < SEEK_SET || lock.l_whence > SEEK_END || !file.kind->lock_range) return -EINVAL;
    if (plain_command(command) != command && lock.l_pid != 0) return -EINVAL;
    if (!asks(command) && ((lock.l_type == F_WRLCK && !file.writes()) || (lock.l_type == F_RDLCK && !file.readable())))
        return -EBADF;
    const std::int64_t result =
        file.kind->lock_range(call, file, file.inode != 0 ? command : plain_command(command), lock);
    if (result != 0 || !asks(command)) return result;
    return call.memory.write(address, lock) ? 0 : -EFAULT;
}

std::int64_t set_capacity(Pipe& pipe, std::uint32_t wanted) {
    constexpr std::uint32_t most = std::uint32_t{1} << 20, most_countable = std::uint32_t{1} << 31;
    if (wanted > most_countable) return -EINVAL;
    const std::uint32_t capacity = std::bit_ceil(std::max<std::uint32_t>(wanted, page_size));
    if (capacity > most) return -EPERM;
    if (capacity < pipe.bytes.size()) return -EBUSY;
    pipe.capacity = capacity;
    return capacity;
}

// Nothing is ever told (O_ASYNC cannot be set); some programs read back what they have set.
std::int64_t set_owner(const SyscallContext& call, OpenFile& file, int owner) {
    if (owner == INT32_MIN) return -EINVAL;
    const bool exists = owner > 0 ? call.is_own(owner) : owner == 0 || owner == -first_process_id;
    if (!exists) return -ESRCH;
    file.owner = owner;
    return 0;
}

// The same with struct f_owner_ex, which is what the C library calls.
std::int64_t extended_owner(const SyscallContext& call, OpenFile& file, bool set) {
    struct {
        std::int32_t type = F_OWNER_PID, id = 0;
    } owner;
    if (!set) {
        owner = {file.owner < 0 ? F_OWNER_PGRP : F_OWNER_PID, file.owner < 0 ? -file.owner : file.owner};
        return call.memory.write(call.args[2], owner) ? 0 : -EFAULT;
    }
    if (!call.memory.read(call.args[2], owner)) return -EFAULT;
    if (owner.type < F_OWNER_TID || owner.type > F_OWNER_PGRP || owner.id < 0) return -EINVAL;
    return set_owner(call, file, owner.type == F_OWNER_PGRP ? -owner.id : owner.id);
}

}  // namespace

std::int64_t sys_close(SyscallContext& call) {
    const int error = call.state.files.close(call.int_arg(0));
    return error == 0 ? release_unused_files(call) : error;
}

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
    if (file->kind->is_name && command != F_DUPFD && command != F_DUPFD_CLOEXEC && command != F_GETFD &&
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
            if (file->kind->pipe_capacity == 0) return -EBADF;
            if (command == F_SETPIPE_SZ)
                return set_capacity(call.state.files.incoming(*file), static_cast<std::uint32_t>(call.args[2]));
            return static_cast<std::int64_t>(call.state.files.incoming(*file).capacity);
        case F_GETOWN: return file->owner;
        case F_SETOWN: return set_owner(call, *file, call.int_arg(2));
        case F_GETOWN_EX:
        case F_SETOWN_EX: return extended_owner(call, *file, command == F_SETOWN_EX);
        case F_GETSIG: return 0;
        case F_GETLEASE: return F_UNLCK;
        case F_NOTIFY:  // taking back what was never asked for
            return (static_cast<std::uint32_t>(call.args[2]) & ~DN_MULTISHOT) == 0 ? 0 : -EINVAL;
        case F_ADD_SEALS: return change_seals(call, *file, call.int_arg(2));
        case F_GET_SEALS: return get_seals(call, *file);
        case F_OFD_SETLK:
        case F_OFD_SETLKW:
        case F_OFD_GETLK:
        case F_SETLK:
        case F_SETLKW:
        case F_GETLK: return range_lock(call, *file, command, call.args[2]);
    }
    return -EINVAL;
}

std::int64_t sys_ioctl(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
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
            const std::int64_t count = file->kind->available ? file->kind->available(call, *file) : -ENOTTY;
            if (count < 0) return count;
            const auto value = static_cast<std::int32_t>(std::min<std::int64_t>(count, INT32_MAX));
            return call.memory.write(call.args[2], value) ? 0 : -EFAULT;
        }
    }
    return -ENOTTY;  // nothing here is a terminal
}

std::int64_t sys_flock(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    const int operation = call.int_arg(1), lock = operation & ~LOCK_NB;
    if (lock != LOCK_SH && lock != LOCK_EX && lock != LOCK_UN) return -EINVAL;
    return file->kind->lock_whole ? file->kind->lock_whole(call, *file, operation) : 0;
}

}  // namespace tinykvm::linux_abi
