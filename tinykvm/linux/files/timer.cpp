// timerfd: a file that counts the expirations of a timer.
#include <fcntl.h>
#include <poll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/timer_settings.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

std::int64_t read_timer(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    if (total_size(ranges) < sizeof file.counter) return -EINVAL;
    if (file.counter == 0) {
        if (file.non_blocking()) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    // A vector may cut the number into pieces.
    const std::int64_t result = fill_guest(call, ranges, std::as_bytes(std::span(&file.counter, 1)));
    if (result == sizeof file.counter) file.counter = 0;
    return result;
}

std::int64_t refuse_write(SyscallContext&, OpenFile&, IoVectors, std::uint64_t*) { return -EINVAL; }

int timer_status(const SyscallContext&, const OpenFile&, struct stat& status) {
    status = made_up_status(0600, "timer");
    return 0;
}

short timer_readiness(const SyscallContext&, const OpenFile& file) {
    return file.counter > 0 ? POLLIN | POLLRDNORM : 0;
}

// The timer of the descriptor that is the first argument; null and an error when it has none.
OpenFile* timer_file(const SyscallContext& call, int& error) {
    OpenFile* file = call.data_file(0);
    error = !file ? -EBADF : file->kind != &kinds::timer ? -EINVAL : 0;
    return error ? nullptr : file;
}

}  // namespace

constinit const FileKind kinds::timer{.read = read_timer,
                                      .write = refuse_write,
                                      .status = timer_status,
                                      .readiness = timer_readiness,
                                      .can_be_in_epoll = true};

std::int64_t sys_timerfd_create(SyscallContext& call) {
    const int clock = call.int_arg(0), flags = call.int_arg(1);
    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) return -EINVAL;
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME: break;
        case CLOCK_REALTIME_ALARM:
        case CLOCK_BOOTTIME_ALARM: return -EPERM;  // they would wake a machine that sleeps
        default: return -EINVAL;
    }
    OpenFile file;
    file.kind = &kinds::timer;
    file.flags = O_RDWR | (flags & TFD_NONBLOCK);
    file.clock = clock;
    return call.state.files.open(std::move(file), flags & TFD_CLOEXEC);
}

std::int64_t sys_timerfd_settime(SyscallContext& call) {
    TimerSetting wanted;
    if (!call.memory.read(call.args[2], wanted)) return -EFAULT;
    if ((call.int_arg(1) & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) || !wanted.is_valid()) return -EINVAL;
    int error = 0;
    OpenFile* file = timer_file(call, error);
    if (!file) return error;
    const std::uint64_t now = nanoseconds_of(Clock::now());
    const TimerSetting before = setting_of(file->timer, now);
    set_timer(file->timer, wanted, file->clock, call.int_arg(1) & TFD_TIMER_ABSTIME, now);
    file->counter = 0;
    return call.args[3] && !call.memory.write(call.args[3], before) ? -EFAULT : 0;
}

std::int64_t sys_timerfd_gettime(SyscallContext& call) {
    int error = 0;
    const OpenFile* file = timer_file(call, error);
    if (!file) return error;
    return call.memory.write(call.args[1], setting_of(file->timer, nanoseconds_of(Clock::now()))) ? 0 : -EFAULT;
}

}  // namespace tinykvm::linux_abi
