// Pairs of connected sockets, with which event loops such as Python's asyncio wake themselves. Each socket has no name,
// reads from one pipe and writes to another.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/files/pipe.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

int socket_status(const SyscallContext&, const OpenFile& file, struct stat& status) {
    status = made_up_status(S_IFSOCK | 0777, "socket" + std::to_string(file.incoming));
    return 0;
}

short socket_readiness(const SyscallContext& call, const OpenFile& file) {
    const Pipe &in = call.state.files.incoming(file), &out = call.state.files.outgoing(file);
    const bool alone = in.writers == 0;
    return static_cast<short>(reader_readiness(in) | (writer_readiness(out) & ~POLLERR) |
                              (alone ? POLLIN | POLLOUT | POLLRDHUP : 0));
}

void close_socket(FileTable& files, const OpenFile& file) {
    files.remove_reader(file);
    files.remove_writer(file);
}

}  // namespace

constinit const FileKind kinds::socket{.read = read_pipe,
                                       .write = write_pipe,
                                       .receive = read_pipe,
                                       .send = write_pipe,
                                       .status = socket_status,
                                       .readiness = socket_readiness,
                                       .available = available_in_pipe,
                                       .close = close_socket,
                                       .can_be_in_epoll = true};

std::int64_t sys_socketpair(SyscallContext& call) {
    constexpr int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    static_assert(SOCK_CLOEXEC == O_CLOEXEC && SOCK_NONBLOCK == O_NONBLOCK);
    constexpr int types = 0xf;
    const int type = call.int_arg(1);
    if (type & ~(types | flags)) return -EINVAL;
    if (call.int_arg(0) != AF_UNIX) return -EAFNOSUPPORT;
    if ((type & types) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
    if (call.int_arg(2) != 0 && call.int_arg(2) != AF_UNIX) return -EPROTONOSUPPORT;
    if (const int error = check_room_for_pair(call, call.args[3])) return error;
    OpenFile first;
    first.kind = &kinds::socket;
    first.flags = O_RDWR | (type & O_NONBLOCK);
    first.incoming = call.state.files.add_pipe();
    first.outgoing = call.state.files.add_pipe();
    OpenFile second = first;
    std::swap(second.incoming, second.outgoing);
    return open_pair(call, std::move(first), std::move(second), type & O_CLOEXEC, call.args[3]);
}

std::int64_t sys_getsockname(SyscallContext& call) {
    const OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    if (file->kind != &kinds::socket) return -ENOTSOCK;
    const sa_family_t family = AF_UNIX;
    std::int32_t room = 0;
    if (!call.memory.read(call.args[2], room)) return -EFAULT;
    if (room < 0) return -EINVAL;
    const auto size = std::min<std::size_t>(static_cast<std::size_t>(room), sizeof family);
    const bool written = call.memory.write(call.args[1], &family, size) &&
                         call.memory.write(call.args[2], static_cast<std::int32_t>(sizeof family));
    return written ? 0 : -EFAULT;
}

}  // namespace tinykvm::linux_abi
