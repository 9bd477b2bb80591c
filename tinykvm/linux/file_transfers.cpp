// Calls that move data from one file to another without a buffer of the program: sendfile, splice, tee, vmsplice and
// copy_file_range. The kinds of both files do the work, on a buffer of the host that takes the place of guest memory.
//
// What is read from a pipe is taken out of it only after it was written, so that nothing is lost when a write falls
// short; other sources have a position, which moves on by what was written.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::size_t most_at_a_time = 65536;

bool is_pipe(const OpenFile& file) { return file.kind->pipe_capacity != 0; }

// A file that is the argument of this index and was opened for reading (writing); null: EBADF.
OpenFile* source(const SyscallContext& call, int index) {
    OpenFile* file = call.data_file(index);
    return file && file->readable() ? file : nullptr;
}
OpenFile* target(const SyscallContext& call, int index) {
    OpenFile* file = call.data_file(index);
    return file && file->writes() ? file : nullptr;
}

// An offset_t of the guest that a call reads and writes back; address 0: the file's own position is meant.
struct Offset {
    GuestAddr address = 0;
    std::uint64_t value = 0;

    int read(const SyscallContext& call) { return address && !call.memory.read(address, value) ? -EFAULT : 0; }
    std::uint64_t* given() { return address ? &value : nullptr; }
};

// Has the buffer take the place of guest memory as long as this exists, and a file not wait.
class HostTransfer {
  public:
    HostTransfer(SyscallContext& call, std::span<std::byte> buffer, OpenFile& file)
        : call_(call), file_(file), flags_(file.flags) {
        call_.host_buffer = buffer;
        file_.flags |= O_NONBLOCK;
    }
    ~HostTransfer() {
        call_.host_buffer = {};
        file_.flags = flags_;
    }
    HostTransfer(const HostTransfer&) = delete;
    HostTransfer& operator=(const HostTransfer&) = delete;

  private:
    SyscallContext& call_;
    OpenFile& file_;
    int flags_;
};

std::int64_t write_buffer(SyscallContext& call, OpenFile& out, std::span<std::byte> bytes, std::uint64_t* position) {
    const HostTransfer transfer(call, bytes, out);
    const IoVector range{0, bytes.size()};
    return out.kind->write(call, out, IoVectors(&range, 1), position);
}

// What of a pipe or a stream comes next; up to the buffer's size, which stays in there.
std::size_t peek(SyscallContext& call, const OpenFile& in, std::span<std::byte> buffer) {
    const Pipe& pipe = call.state.files.incoming(in);
    const std::size_t size = std::min(pipe.bytes.size(), buffer.size());
    std::memcpy(buffer.data(), pipe.bytes.data(), size);
    return size;
}

// Moves one buffer full. Returns the bytes, 0 at the end of the source, or a negative errno: -EAGAIN when a pipe has
// nothing to give or no room.
std::int64_t move_some(SyscallContext& call, OpenFile& in, std::uint64_t* from, OpenFile& out, std::uint64_t* to,
                       std::span<std::byte> buffer) {
    const bool gives_messages = in.is_socket() && call.state.files.socket(in).keeps_messages();
    if (gives_messages) {
        // They come one at a time, and what has no room in the pipe is lost, as in recv() with a short buffer.
        const Pipe& pipe = call.state.files.outgoing(out);
        const std::size_t room = pipe.takes_nothing() ? buffer.size() : call.state.files.room(pipe);
        if (room == 0) return -EAGAIN;
        buffer = buffer.first(std::min(buffer.size(), room));
    } else if (in.incoming != no_pipe) {
        const std::size_t size = peek(call, in, buffer);
        if (size == 0) return call.state.files.incoming(in).has_ended() ? 0 : -EAGAIN;
        const std::int64_t put = write_buffer(call, out, buffer.first(size), to);
        if (put <= 0) return put;
        call.state.files.incoming(in).bytes.erase(0, static_cast<std::size_t>(put));
        call.state.files.note_change(in);
        return put;
    }
    std::uint64_t position = from ? *from : in.offset;
    std::int64_t got = 0;
    {
        const HostTransfer transfer(call, buffer, in);
        const IoVector range{0, buffer.size()};
        std::uint64_t read_at = position;
        got = in.kind->read(call, in, IoVectors(&range, 1), &read_at);
    }
    if (got <= 0) return got;
    const std::int64_t put = write_buffer(call, out, buffer.first(static_cast<std::size_t>(got)), to);
    if (put > 0) (from ? *from : in.offset) = position + static_cast<std::uint64_t>(put);
    return put;
}

// Moves up to `size` bytes. It waits only as long as nothing was moved, and then the call is made again.
std::int64_t move(SyscallContext& call, OpenFile& in, Offset& from, OpenFile& out, Offset& to, std::uint64_t size,
                  bool may_wait) {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(size, most_at_a_time));
    std::uint64_t moved = 0;
    while (moved < size) {
        call.waiter.check();
        const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), size - moved));
        const std::int64_t result = move_some(call, in, from.given(), out, to.given(), part);
        if (call.parked) return 0;
        if (result < 0 && moved == 0) {
            if (result != -EAGAIN || !may_wait) return result;
            return call.park({.what = Wait::For::files});
        }
        if (result <= 0) break;
        moved += static_cast<std::uint64_t>(result);
        if (static_cast<std::size_t>(result) < part.size()) break;
    }
    for (const Offset* offset : {&from, &to})
        if (offset->address && !call.memory.write(offset->address, offset->value)) return -EFAULT;
    return static_cast<std::int64_t>(moved);
}

// Of which type the file is, as fstat() says (S_IFREG...).
mode_t type_of(const SyscallContext& call, const OpenFile& file) {
    struct stat status {};
    return file.kind->status(call, file, status) == 0 ? status.st_mode & S_IFMT : 0;
}

bool waits(const OpenFile& in, const OpenFile& out) {
    return !(is_pipe(in) && in.non_blocking()) && !((is_pipe(out) || out.is_socket()) && out.non_blocking());
}

constexpr unsigned splice_flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

// Returns 0 or why the file and its offset cannot be one side of a splice.
int check_side(const OpenFile& file, const Offset& offset, bool written) {
    if (is_pipe(file)) return offset.address ? -ESPIPE : 0;
    if (offset.address && !file.kind->seek) return -EINVAL;
    if (offset.address && offset.value > max_offset) return -EINVAL;
    if (written && (file.flags & O_APPEND)) return -EINVAL;
    const bool can = written ? file.kind->write && !file.kind->transfer_error
                             : file.kind->read && (file.kind->seek || file.incoming != no_pipe);
    return can && !file.kind->list ? 0 : -EINVAL;
}

}  // namespace

std::int64_t sys_sendfile(SyscallContext& call) {
    Offset from{.address = call.args[2]}, none;
    if (const int error = from.read(call)) return error;
    OpenFile* in = source(call, 1);
    if (!in) return -EBADF;
    if (from.address && !in->kind->seek) return -ESPIPE;
    if (from.value > max_offset) return -EINVAL;
    OpenFile* out = target(call, 0);
    if (!out) return -EBADF;
    // What has no position can only go into a pipe: elsewhere it would be lost when the target takes less.
    if (is_pipe(*in) || (!in->kind->seek && !is_pipe(*out)) || check_side(*in, from, false) != 0) return -EINVAL;
    if (!is_pipe(*out) && check_side(*out, none, true) != 0) return -EINVAL;
    return move(call, *in, from, *out, none, std::min(call.args[3], max_transfer), waits(*in, *out));
}

std::int64_t sys_splice(SyscallContext& call) {
    const auto flags = static_cast<unsigned>(call.args[5]);
    if (call.args[4] == 0) return 0;
    if (flags & ~splice_flags) return -EINVAL;
    OpenFile *in = call.data_file(0), *out = call.data_file(2);
    if (!in || !out) return -EBADF;
    Offset from{.address = call.args[1]}, to{.address = call.args[3]};
    if ((is_pipe(*in) && from.address) || (is_pipe(*out) && to.address)) return -ESPIPE;
    if (from.read(call) || to.read(call)) return -EFAULT;
    if (!in->readable() || !out->writes()) return -EBADF;
    if (!is_pipe(*in) && !is_pipe(*out)) return -EINVAL;
    if (is_pipe(*in) && is_pipe(*out) && in->incoming == out->outgoing) return -EINVAL;
    if (const int error = check_side(*in, from, false)) return error;
    if (const int error = check_side(*out, to, true)) return error;
    const bool may_wait = !(flags & SPLICE_F_NONBLOCK) && waits(*in, *out);
    return move(call, *in, from, *out, to, std::min(call.args[4], max_transfer), may_wait);
}

std::int64_t sys_tee(SyscallContext& call) {
    const auto flags = static_cast<unsigned>(call.args[3]);
    if (flags & ~splice_flags) return -EINVAL;
    if (call.args[2] == 0) return 0;
    OpenFile *in = source(call, 0), *out = target(call, 1);
    if (!in || !out) return -EBADF;
    if (!is_pipe(*in) || !is_pipe(*out) || in->incoming == out->outgoing) return -EINVAL;
    std::vector<std::byte> buffer(std::min<std::uint64_t>(call.args[2], most_at_a_time));
    const std::size_t size = peek(call, *in, buffer);
    std::int64_t result = size == 0 ? (call.state.files.incoming(*in).has_ended() ? 0 : -EAGAIN)
                                    : write_buffer(call, *out, std::span(buffer).first(size), nullptr);
    if (result == -EAGAIN && !(flags & SPLICE_F_NONBLOCK) && waits(*in, *out))
        result = call.park({.what = Wait::For::files});
    return result;
}

// A program gives pages to a pipe, or takes bytes out of one: as writev() and readv() of that pipe.
std::int64_t sys_vmsplice(SyscallContext& call) {
    const OpenFile* file = call.data_file(0);
    if (static_cast<unsigned>(call.args[3]) & ~splice_flags) return -EINVAL;
    if (!file || !is_pipe(*file)) return -EBADF;
    return file->writes() ? sys_writev(call) : sys_readv(call);
}

std::int64_t sys_copy_file_range(SyscallContext& call) {
    OpenFile *in = call.data_file(0), *out = call.data_file(2);
    if (!in || !out) return -EBADF;
    Offset from{.address = call.args[1]}, to{.address = call.args[3]};
    if (from.read(call) || to.read(call)) return -EFAULT;
    if (call.args[5] != 0) return -EINVAL;
    const mode_t types[] = {type_of(call, *in), type_of(call, *out)};
    if (types[0] == S_IFDIR || types[1] == S_IFDIR) return -EISDIR;
    if (types[0] != S_IFREG || types[1] != S_IFREG) return -EINVAL;
    if (!in->readable() || !out->writes() || (out->flags & O_APPEND)) return -EBADF;
    const std::uint64_t begin = from.address ? from.value : in->offset, end = to.address ? to.value : out->offset;
    if (begin > max_offset || end > max_offset) return -EINVAL;
    if (call.args[4] > max_offset - begin || call.args[4] > max_offset - end) return -EOVERFLOW;
    const std::uint64_t size = std::min(call.args[4], max_transfer);
    if (in == out && begin < end + size && end < begin + size) return -EINVAL;
    if (!in->kind->read || !out->kind->write) return -EINVAL;
    return move(call, *in, from, *out, to, size, false);
}

std::int64_t sys_readahead(SyscallContext& call) {
    const OpenFile* file = source(call, 0);
    if (!file) return -EBADF;
    return type_of(call, *file) == S_IFREG ? 0 : -EINVAL;
}

}  // namespace tinykvm::linux_abi
