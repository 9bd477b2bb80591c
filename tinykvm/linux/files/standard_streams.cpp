// What descriptors 0, 1 and 2 refer to when a program starts.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

std::int64_t read_input(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    if (!call.options.host_stdin || total_size(ranges) == 0) return 0;
    // The call waits for the first byte only, and takes along what else is there.
    if (host_input_events() == 0) {
        if (file.non_blocking()) return -EAGAIN;
        return call.park({.what = Wait::For::files, .host_input = true});
    }
    bool first = true;
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        if (!std::exchange(first, false) && host_input_events() == 0) return 0;
        const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
        return got >= 0 ? got : -errno;
    });
}

short input_readiness(const SyscallContext& call, const OpenFile&) {
    if (!call.options.host_stdin) return POLLIN | POLLRDNORM;  // the end of the file can be read
    const short events = host_input_events();
    return events ? static_cast<short>(events | POLLRDNORM) : short{0};
}

std::int64_t available_input(const SyscallContext& call, const OpenFile&) {
    int count = 0;
    if (!call.options.host_stdin) return 0;
    return ::ioctl(STDIN_FILENO, FIONREAD, &count) == 0 ? std::max(count, 0) : -ENOTTY;
}

int input_status(const SyscallContext&, const OpenFile&, struct stat& status) {
    status = made_up_status(S_IFIFO | 0600, "input");
    return 0;
}

std::int64_t write_output(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    return drain_guest(call, ranges, [&](std::span<const std::byte> piece) {
        if (call.options.output)
            call.options.output(file.output_fd, {reinterpret_cast<const char*>(piece.data()), piece.size()});
        return static_cast<std::int64_t>(piece.size());
    });
}

short output_readiness(const SyscallContext&, const OpenFile&) { return POLLOUT | POLLWRNORM; }

int output_status(const SyscallContext&, const OpenFile& file, struct stat& status) {
    status = made_up_status(S_IFIFO | 0600, file.output_fd == 1 ? "output" : "errors");
    return 0;
}

}  // namespace

constinit const FileKind kinds::input{.read = read_input,
                                      .status = input_status,
                                      .readiness = input_readiness,
                                      .available = available_input,
                                      .can_be_in_epoll = true,
                                      .follows_host_input = true,
                                      .takes_advice = false};
constinit const FileKind kinds::output{.write = write_output,
                                       .status = output_status,
                                       .readiness = output_readiness,
                                       .can_be_in_epoll = true,
                                       .takes_advice = false};

}  // namespace tinykvm::linux_abi
