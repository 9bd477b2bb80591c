// eventfd: a counter that can be waited for.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t largest_count = ~std::uint64_t{0} - 1;

std::int64_t read_event(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    if (total_size(ranges) < sizeof(std::uint64_t)) return -EINVAL;
    if (file.counter == 0) {
        if (file.non_blocking()) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    const std::uint64_t value = file.semaphore ? 1 : file.counter;
    // A vector may cut the number into pieces.
    const std::int64_t result = fill_guest(call, ranges, std::as_bytes(std::span(&value, 1)));
    if (result == sizeof value) {
        file.counter -= value;
        call.state.files.note_change(file);
    }
    return result;
}

std::int64_t write_event(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    if (total_size(ranges) < sizeof(std::uint64_t)) return -EINVAL;
    std::uint64_t value = 0;
    std::size_t done = 0;
    const std::int64_t result = drain_guest(call, ranges, [&](std::span<const std::byte> piece) {
        const std::size_t size = std::min(piece.size(), sizeof value - done);
        std::memcpy(reinterpret_cast<std::byte*>(&value) + done, piece.data(), size);
        done += size;
        return static_cast<std::int64_t>(size);
    });
    if (result != sizeof value) return result < 0 ? result : -EFAULT;
    if (value > largest_count) return -EINVAL;
    if (value > largest_count - file.counter) {
        if (file.non_blocking()) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    file.counter += value;
    call.state.files.note_change(file);
    return result;
}

int event_status(const SyscallContext&, const OpenFile&, struct stat& status) {
    status = made_up_status(0600, "event");
    return 0;
}

short event_readiness(const SyscallContext&, const OpenFile& file) {
    return static_cast<short>((file.counter > 0 ? POLLIN | POLLRDNORM : 0) |
                              (file.counter < largest_count ? POLLOUT | POLLWRNORM : 0));
}

std::int64_t open_event(SyscallContext& call, int flags) {
    if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) return -EINVAL;
    OpenFile file;
    file.kind = &kinds::event;
    file.flags = O_RDWR | (flags & EFD_NONBLOCK);
    file.semaphore = flags & EFD_SEMAPHORE;
    file.counter = static_cast<std::uint32_t>(call.args[0]);
    return call.state.files.open(std::move(file), flags & EFD_CLOEXEC);
}

}  // namespace

constinit const FileKind kinds::event{.read = read_event,
                                      .write = write_event,
                                      .status = event_status,
                                      .readiness = event_readiness,
                                      .empty_vectors_succeed = true,
                                      .can_be_in_epoll = true};

std::int64_t sys_eventfd(SyscallContext& call) { return open_event(call, 0); }
std::int64_t sys_eventfd2(SyscallContext& call) { return open_event(call, call.int_arg(1)); }

}  // namespace tinykvm::linux_abi
