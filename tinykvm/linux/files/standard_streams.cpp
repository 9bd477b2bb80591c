// What descriptors 0, 1 and 2 refer to when a program starts.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "tinykvm/input_source.hpp"
#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

// What the caller has for the guest now; null: nothing yet.
InputSource* ready_source(const Options& options) {
    InputSource* source = options.input();
    return source && source->next() ? source : nullptr;
}

std::int64_t take_from_caller(InputSource& source, std::span<std::byte> piece) {
    const auto data = source.next();
    const std::size_t size = data ? std::min(data->size(), piece.size()) : 0;
    if (size == 0) return 0;
    std::memcpy(piece.data(), data->data(), size);
    source.take(size);
    return static_cast<std::int64_t>(size);
}

std::int64_t read_input(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    const Options& options = call.options;
    if ((!options.host_stdin && !options.input) || total_size(ranges) == 0) return 0;
    // The call waits for the first byte only, and takes along what else is there.
    if (input_events(options) == 0) {
        if (file.non_blocking()) return -EAGAIN;
        return call.park({.what = Wait::For::files, .for_caller = true});
    }
    if (options.input) {
        InputSource& source = *ready_source(options);
        return fill_guest(call, ranges, [&](std::span<std::byte> piece) { return take_from_caller(source, piece); });
    }
    bool first = true;
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        if (!std::exchange(first, false) && input_events(options) == 0) return 0;
        const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
        return got >= 0 ? got : -errno;
    });
}

short input_readiness(const SyscallContext& call, const OpenFile&) {
    const short events = input_events(call.options);
    return events & POLLIN ? static_cast<short>(events | POLLRDNORM) : events;
}

std::int64_t available_input(const SyscallContext& call, const OpenFile&) {
    int count = 0;
    if (call.options.input) {
        const InputSource* source = ready_source(call.options);
        return source ? static_cast<std::int64_t>(std::min<std::size_t>(source->next()->size(), INT32_MAX)) : 0;
    }
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

constinit const FileKind kinds::input{
    .read = read_input,
    .status = input_status,
    .readiness = input_readiness,
    .available = available_input,
    .awaits_caller = [](const SyscallContext& call,
                        const OpenFile&) { return call.options.host_stdin || call.options.input; },
    .can_be_in_epoll = true,
    .takes_advice = false};
constinit const FileKind kinds::output{.write = write_output,
                                       .status = output_status,
                                       .readiness = output_readiness,
                                       .can_be_in_epoll = true,
                                       .takes_advice = false};

}  // namespace tinykvm::linux_abi
