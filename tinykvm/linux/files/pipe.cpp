// Pipes. What is in them is part of the table of descriptors, so each fork has its own.
#include "tinykvm/linux/files/pipe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::size_t atomic_size = 4096;  // PIPE_BUF: writes up to this size are done whole or not at all

int pipe_status(const SyscallContext&, const OpenFile& file, struct stat& status) {
    status = made_up_status(S_IFIFO | 0600, "pipe" + std::to_string(file.incoming));
    return 0;
}

std::int64_t refuse_allocation(SyscallContext&, OpenFile&, int, std::int64_t, std::int64_t) { return -ESPIPE; }

std::int64_t open_pipe(SyscallContext& call, int flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) return -EINVAL;
    if (const int error = check_room_for_pair(call, call.args[0])) return error;
    OpenFile reader;
    reader.incoming = reader.outgoing = call.state.files.add_pipe();
    OpenFile writer = reader;
    reader.kind = &kinds::pipe_reader;
    reader.flags = O_RDONLY | (flags & O_NONBLOCK);
    writer.kind = &kinds::pipe_writer;
    writer.flags = O_WRONLY | (flags & O_NONBLOCK);
    return open_pair(call, std::move(reader), std::move(writer), flags & O_CLOEXEC, call.args[0]);
}

}  // namespace

std::vector<IoVector> remaining(IoVectors ranges, std::uint64_t done) {
    std::vector<IoVector> rest;
    for (IoVector range : ranges) {
        const std::uint64_t skipped = std::min(range.size, done);
        done -= skipped;
        if (range.size > skipped) rest.push_back({range.address + skipped, range.size - skipped});
    }
    return rest;
}

bool may_wait(const OpenFile& file, int flags) { return !file.non_blocking() && !(flags & MSG_DONTWAIT); }

std::int64_t read_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags) {
    if (total_size(ranges) == 0) return 0;
    Pipe& pipe = call.state.files.incoming(file);
    if (pipe.bytes.empty()) {
        if (pipe.has_ended()) return 0;
        if (!may_wait(file, flags)) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    const std::int64_t result = fill_guest(call, ranges, std::as_bytes(std::span(pipe.bytes)));
    pipe.bytes.erase(0, static_cast<std::size_t>(std::max<std::int64_t>(result, 0)));
    call.state.files.note_change(file);
    return result;
}

std::int64_t write_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags) {
    // A write that has waited for room may have put some of its bytes in before.
    const std::uint64_t before = call.parked_with ? call.parked_with->done : 0;
    const std::uint64_t total = total_size(ranges);
    if (total == 0) return 0;
    Pipe& pipe = call.state.files.outgoing(file);
    if (pipe.takes_nothing()) return before > 0 ? static_cast<std::int64_t>(before) : broken_pipe(call, flags);
    const bool waits = may_wait(file, flags);
    const auto interrupted = [](std::uint64_t done) {
        return done > 0 ? static_cast<std::int64_t>(done) : restart_call;
    };
    const std::size_t room = call.state.files.room(pipe);
    if (room == 0 || (room < total && total <= atomic_size)) {
        warn_of_piped_bytes(call, pipe, std::min<std::uint64_t>(total, atomic_size));
        if (!waits) return -EAGAIN;
        return call.park({.what = Wait::For::files, .done = before}, interrupted(before));
    }
    const std::vector<IoVector> rest = remaining(ranges, before);
    const std::int64_t put = drain_guest(call, rest, [&](std::span<const std::byte> piece) {
        const std::size_t size = std::min(piece.size(), call.state.files.room(pipe));
        pipe.bytes.append(reinterpret_cast<const char*>(piece.data()), size);
        return static_cast<std::int64_t>(size);
    });
    call.state.files.note_change(file);
    if (put < 0) return before > 0 ? static_cast<std::int64_t>(before) : put;
    const std::uint64_t done = before + static_cast<std::uint64_t>(put);
    const bool full = call.state.files.room(pipe) == 0;
    if (done == total || !waits || !full) return static_cast<std::int64_t>(done);
    return call.park({.what = Wait::For::files, .done = done}, interrupted(done));
}

std::int64_t read_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    return read_pipe(call, file, ranges, 0);
}

std::int64_t write_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    return write_pipe(call, file, ranges, 0);
}

std::int64_t available_in_pipe(const SyscallContext& call, const OpenFile& file) {
    return static_cast<std::int64_t>(call.state.files.incoming(file).bytes.size());
}

namespace {

short reader_readiness(const SyscallContext& call, const OpenFile& file) {
    const Pipe& pipe = call.state.files.incoming(file);
    return static_cast<short>((pipe.bytes.empty() ? 0 : POLLIN | POLLRDNORM) | (pipe.has_ended() ? POLLHUP : 0));
}

short writer_readiness(const SyscallContext& call, const OpenFile& file) {
    const Pipe& pipe = call.state.files.outgoing(file);
    return static_cast<short>((has_room_for_write(call, pipe) ? POLLOUT | POLLWRNORM : 0) |
                              (pipe.takes_nothing() ? POLLERR : 0));
}

}  // namespace

std::int64_t broken_pipe(SyscallContext& call, int flags) {
    if (!(flags & MSG_NOSIGNAL))
        send_signal(call.state, call.state.thread, SIGPIPE, signal_info_from_self(call.state, SIGPIPE, SI_USER));
    return -EPIPE;
}

bool has_room_for_write(const SyscallContext& call, const Pipe& pipe) {
    return call.state.files.room(pipe) >= atomic_size;
}

void warn_of_piped_bytes(const SyscallContext& call, const Pipe& pipe, std::uint64_t size) {
    const std::size_t own = pipe.capacity - std::min(pipe.capacity, pipe.bytes.size());
    if (pipe.messages.size() < max_messages && own > 0 && own >= std::min<std::uint64_t>(size, pipe.capacity))
        call.warn(Limit::piped_bytes);
}

int check_room_for_pair(const SyscallContext& call, GuestAddr address) {
    if (!call.memory.is_writable(address, 2 * sizeof(int))) return -EFAULT;
    return call.state.files.has_room_for_two() ? 0 : -EMFILE;
}

std::int64_t open_pair(SyscallContext& call, OpenFile first, OpenFile second, bool close_on_exec, GuestAddr address) {
    FileTable& files = call.state.files;
    const int fds[2] = {files.open(std::move(first), close_on_exec), files.open(std::move(second), close_on_exec)};
    return call.memory.write(address, fds) ? 0 : -EFAULT;
}

constinit const FileKind kinds::pipe_reader{
    .read = read_pipe,
    .status = pipe_status,
    .readiness = reader_readiness,
    .available = available_in_pipe,
    .close = [](FileTable& files, const OpenFile& file) { files.remove_reader(file); },
    .can_be_in_epoll = true,
    .takes_advice = false,
    .pipe_capacity = pipe_capacity};
constinit const FileKind kinds::pipe_writer{
    .write = write_pipe,
    .status = pipe_status,
    .readiness = writer_readiness,
    .available = available_in_pipe,
    .allocate = refuse_allocation,
    .close = [](FileTable& files, const OpenFile& file) { files.remove_writer(file); },
    .can_be_in_epoll = true,
    .takes_advice = false,
    .pipe_capacity = pipe_capacity};

std::int64_t sys_pipe(SyscallContext& call) { return open_pipe(call, 0); }
std::int64_t sys_pipe2(SyscallContext& call) { return open_pipe(call, call.int_arg(1)); }

}  // namespace tinykvm::linux_abi
