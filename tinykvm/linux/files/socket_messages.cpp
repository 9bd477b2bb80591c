// The calls that send and receive on sockets: sendto, recvfrom, and those with struct msghdr. The kind of the file does
// the work.
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "tinykvm/linux/files/socket.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

// What cannot be seen from inside: there is no hardware and no congestion.
constexpr int ignored_flags = MSG_MORE | MSG_EOR | MSG_CONFIRM | MSG_DONTROUTE | MSG_CMSG_CLOEXEC | MSG_ZEROCOPY;
constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL | ignored_flags;
constexpr int receive_flags = MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_TRUNC | MSG_NOSIGNAL | ignored_flags;
constexpr std::uint32_t most_messages = 1024;  // UIO_MAXIOV

// The file to send on (receive from). Returns 0, -EBADF or -ENOTSOCK.
int find_socket(const SyscallContext& call, OpenFile*& file) {
    file = call.data_file(0);
    if (!file) return -EBADF;
    return file->is_socket() ? 0 : -ENOTSOCK;
}

std::int64_t send(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, GuestAddr name,
                  std::int32_t name_size) {
    if (flags & MSG_OOB) return -EOPNOTSUPP;
    if (flags & ~send_flags) return -EOPNOTSUPP;
    const Socket& socket = call.state.files.socket(file);
    SocketAddress to;
    bool has_name = name != 0 && name_size != 0;
    // A stream that is connected has its peer already.
    if (has_name && !socket.is_stream()) {
        if (const int error = read_socket_address(call.memory, name, name_size, socket.family, to)) return error;
        has_name = to.family != AF_UNSPEC;
        if (const int error = resolve_path(call, to)) return error;
    } else if (has_name) {
        if (socket.family == AF_UNIX) return socket.state == Socket::State::connected ? -EISCONN : -EOPNOTSUPP;
        has_name = false;
    }
    return file.kind->send(call, file, ranges, flags, has_name ? &to : nullptr);
}

std::int64_t receive(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, Received& received) {
    if (flags & MSG_OOB) return -EINVAL;
    if (flags & MSG_ERRQUEUE) return -EAGAIN;
    if (flags & ~receive_flags) return -EOPNOTSUPP;
    return file.kind->receive(call, file, ranges, flags, received);
}

// struct msghdr of a guest.
struct MessageHeader {
    GuestAddr name = 0;
    std::int32_t name_size = 0, unused1 = 0;
    GuestAddr vectors = 0;
    std::uint64_t vector_count = 0;
    GuestAddr control = 0;
    std::uint64_t control_size = 0;
    std::int32_t flags = 0, unused2 = 0;
};
static_assert(sizeof(MessageHeader) == sizeof(msghdr));

int read_header(const SyscallContext& call, GuestAddr at, MessageHeader& header, std::vector<IoVector>& ranges) {
    if (!call.memory.read(at, header)) return -EFAULT;
    if (header.vector_count > max_vectors) return -EMSGSIZE;
    if (header.name_size < 0) return -EINVAL;
    header.name_size = std::min<std::int32_t>(header.name_size, sizeof(sockaddr_storage));
    return read_vectors(call, header.vectors, header.vector_count, ranges);
}

std::int64_t send_header(SyscallContext& call, OpenFile& file, GuestAddr at, int flags) {
    MessageHeader header;
    std::vector<IoVector> ranges;
    if (const int error = read_header(call, at, header, ranges)) return error;
    // Descriptors and credentials are not passed on: there is one process.
    if (header.control_size >= sizeof(cmsghdr)) return -EOPNOTSUPP;
    return send(call, file, ranges, flags, header.name, header.name_size);
}

std::int64_t receive_header(SyscallContext& call, OpenFile& file, GuestAddr at, int flags) {
    MessageHeader header;
    std::vector<IoVector> ranges;
    if (const int error = read_header(call, at, header, ranges)) return error;
    Received received;
    const std::int64_t result = receive(call, file, ranges, flags, received);
    if (result < 0 || call.parked) return result;
    if (header.name != 0) {
        std::int32_t size = header.name_size;
        if (received.from.family == 0) {
            size = 0;
        } else if (const int error = write_socket_address(call.memory, received.from, header.name, size)) {
            return error;
        }
        header.name_size = size;
    }
    header.control_size = 0;
    header.flags = received.flags;
    return call.memory.write(at, header) ? result : -EFAULT;
}

// sendmmsg and recvmmsg: `one` is called for each entry. Those from number `most_waits` on do not wait.
template <typename One>
std::int64_t many(SyscallContext& call, std::uint32_t most_waits, One one) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    const std::uint32_t count = std::min(static_cast<std::uint32_t>(call.args[2]), most_messages);
    constexpr std::uint64_t entry_size = 64;  // struct mmsghdr
    const std::uint32_t begin = call.parked_with ? call.parked_with->entries : 0;
    std::int64_t done = begin;
    for (std::uint32_t i = begin; i < count; ++i) {
        call.waiter.check();
        if (i > begin) call.parked_with = nullptr;  // it was that entry which waited
        const GuestAddr entry = call.args[1] + i * entry_size;
        const std::int64_t result = one(*file, entry, call.int_arg(3) | (i >= most_waits ? MSG_DONTWAIT : 0));
        if (call.parked) {
            call.state.thread.wait.entries = i;
            return result;
        }
        if (result < 0) return done > 0 ? done : result;
        if (!call.memory.write(entry + sizeof(MessageHeader), static_cast<std::uint32_t>(result)))
            return done > 0 ? done : -EFAULT;
        ++done;
    }
    return done;
}

}  // namespace

std::int64_t sys_sendto(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    const IoVector range{call.args[1], std::min(call.args[2], max_transfer)};
    return send(call, *file, IoVectors(&range, 1), call.int_arg(3), call.args[4], call.int_arg(5));
}

std::int64_t sys_recvfrom(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    const IoVector range{call.args[1], std::min(call.args[2], max_transfer)};
    Received received;
    const std::int64_t result = receive(call, *file, IoVectors(&range, 1), call.int_arg(3), received);
    if (result < 0 || call.parked || call.args[4] == 0 || call.args[5] == 0) return result;
    if (received.from.family == 0) return call.memory.write(call.args[5], std::int32_t{0}) ? result : -EFAULT;
    const int error = write_socket_address(call.memory, received.from, call.args[4], call.args[5]);
    return error ? error : result;
}

std::int64_t sys_sendmsg(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    return send_header(call, *file, call.args[1], call.int_arg(2));
}

std::int64_t sys_recvmsg(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    return receive_header(call, *file, call.args[1], call.int_arg(2));
}

std::int64_t sys_sendmmsg(SyscallContext& call) {
    return many(call, most_messages,
                [&](OpenFile& file, GuestAddr entry, int flags) { return send_header(call, file, entry, flags); });
}

std::int64_t sys_recvmmsg(SyscallContext& call) {
    constexpr int wait_for_one = 0x10000;  // MSG_WAITFORONE, which is what is done anyway
    return many(call, 1, [&](OpenFile& file, GuestAddr entry, int flags) {
        return receive_header(call, file, entry, flags & ~wait_for_one);
    });
}

}  // namespace tinykvm::linux_abi
