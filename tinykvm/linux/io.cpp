// Data in and out of open files. Host files are read and written at positions (pread, pwrite), never through
// an offset of the host's.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"
#include "tinykvm/os/random.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::linux_abi {

namespace {

using Kind = OpenFile::Kind;
using Ranges = std::span<const GuestRange>;
constexpr std::uint64_t max_offset = INT64_MAX;

std::uint64_t total_of(Ranges ranges) {
    std::uint64_t total = 0;
    for (const GuestRange& range : ranges) total += range.size;
    return total;
}

bool has_position(const OpenFile& file) {
    return file.kind == Kind::regular || file.kind == Kind::text || file.kind == Kind::directory ||
           file.kind == Kind::null || file.kind == Kind::zero || file.kind == Kind::full || file.kind == Kind::random;
}

// --- reading

std::int64_t read_input(SyscallContext& call, const OpenFile& file, Ranges ranges) {
    if (!call.options.host_stdin || total_of(ranges) == 0) return 0;
    // Waits for the first byte only; what else is there is taken along.
    if (host_input_events() == 0) {
        if (file.flags & O_NONBLOCK) return -EAGAIN;
        return call.park({.what = Wait::For::files, .host_input = true});
    }
    bool first = true;
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        if (!std::exchange(first, false) && host_input_events() == 0) return 0;
        const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
        return got >= 0 ? got : -errno;
    });
}

// `message_flags`: as of recv() and send(), MSG_DONTWAIT and MSG_NOSIGNAL.
bool may_wait(const OpenFile& file, int message_flags) {
    return !(file.flags & O_NONBLOCK) && !(message_flags & MSG_DONTWAIT);
}

std::int64_t read_pipe(SyscallContext& call, OpenFile& file, Ranges ranges, int message_flags = 0) {
    if (total_of(ranges) == 0) return 0;
    Pipe& pipe = call.state.files.incoming(file);
    if (pipe.bytes.empty()) {
        if (pipe.writers == 0) return 0;
        if (!may_wait(file, message_flags)) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    std::size_t taken = 0;
    const std::int64_t result = fill_guest(call, ranges, [&](std::span<std::byte> piece) {
        const std::size_t size = std::min(piece.size(), pipe.bytes.size() - taken);
        std::memcpy(piece.data(), pipe.bytes.data() + taken, size);
        taken += size;
        return static_cast<std::int64_t>(size);
    });
    pipe.bytes.erase(0, taken);
    call.state.files.note_change(file);
    return result;
}

std::int64_t read_event(SyscallContext& call, OpenFile& file, Ranges ranges) {
    if (total_of(ranges) < sizeof(std::uint64_t)) return -EINVAL;
    if (file.counter == 0) {
        if (file.flags & O_NONBLOCK) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    const std::uint64_t value = file.semaphore ? 1 : file.counter;
    // A vector may cut the number into pieces.
    std::size_t done = 0;
    const std::int64_t result = fill_guest(call, ranges, [&](std::span<std::byte> piece) {
        const std::size_t size = std::min(piece.size(), sizeof value - done);
        std::memcpy(piece.data(), reinterpret_cast<const std::byte*>(&value) + done, size);
        done += size;
        return static_cast<std::int64_t>(size);
    });
    if (result == sizeof value) {
        file.counter -= value;
        call.state.files.note_change(file);
    }
    return result;
}

std::int64_t read_at(SyscallContext& call, const OpenFile& file, Ranges ranges, std::uint64_t& offset) {
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        std::int64_t got = 0;
        if (file.kind == Kind::text) {
            const std::string& text = *file.text;
            got = offset < text.size() ? static_cast<std::int64_t>(std::min(piece.size(), text.size() - offset)) : 0;
            if (got > 0) std::memcpy(piece.data(), text.data() + offset, static_cast<std::size_t>(got));
        } else {
            got = ::pread(file.host->fd(), piece.data(), piece.size(), static_cast<off_t>(offset));
            if (got < 0) return -errno;
        }
        offset += static_cast<std::uint64_t>(got);
        return got;
    });
}

// `at`: a position that is not the file's own (pread). Null: the file's own, which moves on.
std::int64_t read_into(SyscallContext& call, OpenFile& file, Ranges ranges, std::uint64_t* at) {
    if (file.kind == Kind::path) return -EBADF;
    if (file.kind == Kind::poll_set) return -EINVAL;
    if (at && !has_position(file)) return -ESPIPE;
    if (!file.readable()) return -EBADF;
    switch (file.kind) {
        case Kind::input: return read_input(call, file, ranges);
        case Kind::null: return 0;
        case Kind::zero:
        case Kind::full:
            return fill_guest(call, ranges, [](std::span<std::byte> piece) {
                std::memset(piece.data(), 0, piece.size());
                return static_cast<std::int64_t>(piece.size());
            });
        case Kind::random:
            return fill_guest(call, ranges, [](std::span<std::byte> piece) {
                fill_random(piece);
                return static_cast<std::int64_t>(piece.size());
            });
        case Kind::regular:
        case Kind::text: return read_at(call, file, ranges, at ? *at : file.offset);
        case Kind::directory: return -EISDIR;
        case Kind::pipe_reader:
        case Kind::socket: return read_pipe(call, file, ranges);
        case Kind::event: return read_event(call, file, ranges);
        case Kind::output:
        case Kind::pipe_writer:
        case Kind::poll_set:
        case Kind::path: break;
    }
    return -EBADF;
}

// --- writing

std::int64_t write_output(SyscallContext& call, const OpenFile& file, Ranges ranges) {
    return drain_guest(call, ranges, [&](std::span<const std::byte> piece) {
        if (call.options.output)
            call.options.output(file.output_fd, {reinterpret_cast<const char*>(piece.data()), piece.size()});
        return static_cast<std::int64_t>(piece.size());
    });
}

// What is left of the ranges behind their first `done` bytes.
std::vector<GuestRange> behind(Ranges ranges, std::uint64_t done) {
    std::vector<GuestRange> rest;
    for (GuestRange range : ranges) {
        const std::uint64_t skipped = std::min(range.size, done);
        done -= skipped;
        if (range.size > skipped) rest.push_back({range.address + skipped, range.size - skipped});
    }
    return rest;
}

std::int64_t write_pipe(SyscallContext& call, OpenFile& file, Ranges ranges, int message_flags = 0) {
    // A write that waits for room has put some of its bytes in already.
    const std::uint64_t before = call.again ? call.again->done : 0;
    const std::uint64_t total = total_of(ranges);
    if (total == 0) return 0;
    Pipe& pipe = call.state.files.outgoing(file);
    if (pipe.readers == 0) {
        if (!(message_flags & MSG_NOSIGNAL))
            send_signal(call.state, call.state.thread, SIGPIPE, signal_info_from_self(SIGPIPE, SI_USER));
        return before > 0 ? static_cast<std::int64_t>(before) : -EPIPE;
    }
    const bool waits = may_wait(file, message_flags);
    const auto interrupted = [](std::uint64_t done) {
        return done > 0 ? static_cast<std::int64_t>(done) : restart_call;
    };
    const std::size_t room = pipe_capacity - pipe.bytes.size();
    constexpr std::size_t atomic = 4096;  // PIPE_BUF: no less is written of so little
    if (room == 0 || (room < total && total <= atomic)) {
        if (!waits) return -EAGAIN;
        return call.park({.what = Wait::For::files, .done = before}, interrupted(before));
    }
    const std::vector<GuestRange> rest = behind(ranges, before);
    const std::int64_t put = drain_guest(call, rest, [&](std::span<const std::byte> piece) {
        const std::size_t size = std::min(piece.size(), pipe_capacity - pipe.bytes.size());
        pipe.bytes.append(reinterpret_cast<const char*>(piece.data()), size);
        return static_cast<std::int64_t>(size);
    });
    call.state.files.note_change(file);
    if (put < 0) return before > 0 ? static_cast<std::int64_t>(before) : put;
    const std::uint64_t done = before + static_cast<std::uint64_t>(put);
    const bool full = pipe.bytes.size() == pipe_capacity;
    if (done == total || !waits || !full) return static_cast<std::int64_t>(done);
    return call.park({.what = Wait::For::files, .done = done}, interrupted(done));
}

std::int64_t write_event(SyscallContext& call, OpenFile& file, Ranges ranges) {
    constexpr std::uint64_t most = ~std::uint64_t{0} - 1;
    if (total_of(ranges) < sizeof(std::uint64_t)) return -EINVAL;
    std::uint64_t value = 0;
    std::size_t done = 0;
    const std::int64_t result = drain_guest(call, ranges, [&](std::span<const std::byte> piece) {
        const std::size_t size = std::min(piece.size(), sizeof value - done);
        std::memcpy(reinterpret_cast<std::byte*>(&value) + done, piece.data(), size);
        done += size;
        return static_cast<std::int64_t>(size);
    });
    if (result != sizeof value) return result < 0 ? result : -EFAULT;
    if (value > most) return -EINVAL;
    if (value > most - file.counter) {
        if (file.flags & O_NONBLOCK) return -EAGAIN;
        return call.park({.what = Wait::For::files});
    }
    file.counter += value;
    call.state.files.note_change(file);
    return result;
}

std::int64_t write_regular(SyscallContext& call, OpenFile& file, Ranges ranges, std::uint64_t* at) {
    std::uint64_t& offset = at ? *at : file.offset;
    const bool append = file.flags & O_APPEND;
    if (!append && offset + total_of(ranges) > max_offset) return -EFBIG;
    const int fd = file.host->fd();
    const auto to_end = [&] {
        if (const std::int64_t size = append ? file.size() : -1; size >= 0) offset = static_cast<std::uint64_t>(size);
    };
    const std::int64_t result = drain_guest(call, ranges, [&](std::span<const std::byte> piece) -> std::int64_t {
        // The guest's descriptor is not in append mode on the host, as it may be anybody's; another one
        // is. (RWF_APPEND would do, but overlay file systems ignore it.) Without it the end is where it
        // is now.
        ssize_t put = 0;
        if (append && file.appending) {
            put = ::write(file.appending->fd(), piece.data(), piece.size());
        } else {
            to_end();
            put = ::pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(offset));
        }
        if (put < 0) return -errno;
        offset += static_cast<std::uint64_t>(put);
        return put;
    });
    if (result > 0) to_end();
    return result;
}

std::int64_t write_from(SyscallContext& call, OpenFile& file, Ranges ranges, std::uint64_t* at) {
    if (file.kind == Kind::path) return -EBADF;
    if (file.kind == Kind::poll_set) return -EINVAL;
    if (at && !has_position(file)) return -ESPIPE;
    if (!file.writes()) return -EBADF;
    switch (file.kind) {
        case Kind::output: return write_output(call, file, ranges);
        case Kind::null:
        case Kind::zero:
        case Kind::random: return static_cast<std::int64_t>(total_of(ranges));
        case Kind::full: return total_of(ranges) == 0 ? 0 : -ENOSPC;
        case Kind::regular: return file.writable ? write_regular(call, file, ranges, at) : -EBADF;
        case Kind::pipe_writer:
        case Kind::socket: return write_pipe(call, file, ranges);
        case Kind::event: return write_event(call, file, ranges);
        case Kind::input:
        case Kind::text:
        case Kind::directory:
        case Kind::pipe_reader:
        case Kind::poll_set:
        case Kind::path: break;
    }
    return -EBADF;
}

// --- the calls: where the data is, and which position

using Move = std::int64_t (*)(SyscallContext&, OpenFile&, Ranges, std::uint64_t*);

std::int64_t plain(SyscallContext& call, Move move, bool positioned) {
    std::uint64_t at = call.args[3];
    if (positioned && at > max_offset) return -EINVAL;
    OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    const GuestRange range{call.args[1], std::min(call.args[2], max_transfer)};
    return move(call, *file, Ranges(&range, 1), positioned ? &at : nullptr);
}

std::int64_t vectored(SyscallContext& call, Move move, bool positioned) {
    std::uint64_t at = call.args[3];
    if (positioned && at > max_offset) return -EINVAL;
    OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    std::vector<GuestRange> ranges;
    if (const int error = read_vectors(call, call.args[1], call.args[2], ranges)) return -error;
    // Nothing to do is done before a directory or a counter can object; with read and write it is not.
    if (total_of(ranges) == 0 && (file->kind == Kind::directory || file->kind == Kind::event)) return 0;
    return move(call, *file, ranges, positioned ? &at : nullptr);
}

// preadv2 and pwritev2: position -1 is the file's own; of the flags we know none.
std::int64_t vectored2(SyscallContext& call, Move move) {
    if (call.int_arg(5) != 0) return -EOPNOTSUPP;
    return vectored(call, move, call.args[3] != ~std::uint64_t{0});
}

// send and recv, with their flags; each socket here is connected and has no name.
std::int64_t message(SyscallContext& call, std::int64_t (*move)(SyscallContext&, OpenFile&, Ranges, int)) {
    OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    if (file->kind != Kind::socket) return -ENOTSOCK;
    const int flags = call.int_arg(3);
    if (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) return -EOPNOTSUPP;
    const GuestRange range{call.args[1], std::min(call.args[2], max_transfer)};
    return move(call, *file, Ranges(&range, 1), flags);
}

}  // namespace

std::int64_t sys_read(SyscallContext& call) { return plain(call, read_into, false); }
std::int64_t sys_write(SyscallContext& call) { return plain(call, write_from, false); }
std::int64_t sys_pread64(SyscallContext& call) { return plain(call, read_into, true); }
std::int64_t sys_pwrite64(SyscallContext& call) { return plain(call, write_from, true); }
std::int64_t sys_readv(SyscallContext& call) { return vectored(call, read_into, false); }
std::int64_t sys_writev(SyscallContext& call) { return vectored(call, write_from, false); }
std::int64_t sys_preadv(SyscallContext& call) { return vectored(call, read_into, true); }
std::int64_t sys_pwritev(SyscallContext& call) { return vectored(call, write_from, true); }
std::int64_t sys_preadv2(SyscallContext& call) { return vectored2(call, read_into); }
std::int64_t sys_pwritev2(SyscallContext& call) { return vectored2(call, write_from); }

std::int64_t sys_sendto(SyscallContext& call) { return message(call, write_pipe); }
std::int64_t sys_recvfrom(SyscallContext& call) {
    const std::int64_t result = message(call, read_pipe);
    if (result < 0 || call.parked || call.args[4] == 0 || call.args[5] == 0) return result;
    return call.memory.write(call.args[5], std::int32_t{0}) ? result : -EFAULT;
}

std::int64_t sys_lseek(SyscallContext& call) {
    OpenFile* file = call.file(0);
    if (!file || file->kind == Kind::path) return -EBADF;
    if (!has_position(*file)) return -ESPIPE;
    const auto wanted = static_cast<std::int64_t>(call.args[1]);
    const int whence = call.int_arg(2);
    if (whence < SEEK_SET || whence > SEEK_HOLE) return -EINVAL;
    if (file->kind == Kind::null || file->kind == Kind::zero || file->kind == Kind::full || file->kind == Kind::random)
        return 0;
    if (file->kind == Kind::directory) {
        // Positions are what getdents64 handed out; any other is harmless.
        if (whence == SEEK_CUR && wanted == 0) return static_cast<std::int64_t>(file->offset);
        if (whence != SEEK_SET) return -EINVAL;
        file->offset = call.args[1];
        return wanted;
    }

    const std::int64_t size = file->size();
    if (size < 0) return size;
    std::int64_t position = 0;
    switch (whence) {
        case SEEK_DATA:
        case SEEK_HOLE:  // files without holes
            if (wanted < 0 || wanted >= size) return -ENXIO;
            position = whence == SEEK_DATA ? wanted : size;
            break;
        default: {
            const std::int64_t base = whence == SEEK_SET   ? 0
                                      : whence == SEEK_END ? size
                                                           : static_cast<std::int64_t>(file->offset);
            if (__builtin_add_overflow(base, wanted, &position)) return -EOVERFLOW;
            if (position < 0) return -EINVAL;
        }
    }
    file->offset = static_cast<std::uint64_t>(position);
    return position;
}

}  // namespace tinykvm::linux_abi
