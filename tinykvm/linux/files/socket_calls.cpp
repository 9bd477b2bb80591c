// The system calls that make sockets, name them and connect them. Stream sockets of AF_INET, AF_INET6 and AF_UNIX reach
// each other inside of the guest, and nothing else.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "tinykvm/client.hpp"
#include "tinykvm/linux/files/pipe.hpp"
#include "tinykvm/linux/files/socket.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr int type_flags = SOCK_CLOEXEC | SOCK_NONBLOCK, type_mask = 0xf;
// The port of a client outside of the guest, as the server sees it.
constexpr std::uint16_t client_port = 61000;

// The file of a socket argument. Returns 0, -EBADF or -ENOTSOCK.
int find_socket(const SyscallContext& call, OpenFile*& file) {
    file = call.data_file(0);
    if (!file) return -EBADF;
    return file->is_socket() ? 0 : -ENOTSOCK;
}

// What socket() and socketpair() check of their arguments: 0 or a negative errno.
int check_kind(int family, int type, int protocol) {
    if (type & ~(type_mask | type_flags)) return -EINVAL;
    const int kind = type & type_mask;
    if (kind == 0 || kind > SOCK_PACKET) return -EINVAL;
    switch (family) {
        case AF_UNIX:
            if (protocol != 0 && protocol != AF_UNIX) return -EPROTONOSUPPORT;
            return kind == SOCK_RDM || kind > SOCK_SEQPACKET ? -ESOCKTNOSUPPORT : 0;
        case AF_INET:
        case AF_INET6:
            if (kind == SOCK_RAW) return -EPERM;
            if (kind != SOCK_STREAM && kind != SOCK_DGRAM) return -ESOCKTNOSUPPORT;
            return protocol == 0 || protocol == (kind == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP) ? 0
                                                                                                  : -EPROTONOSUPPORT;
        default: return -EAFNOSUPPORT;
    }
}

Socket new_socket(int family, int type) {
    Socket socket;
    socket.family = family;
    socket.type = type & type_mask;
    if (family == AF_UNIX && socket.type == SOCK_RAW) socket.type = SOCK_DGRAM;  // as on Linux
    socket.local = socket.peer = SocketAddress::any(family);
    return socket;
}

// Makes the file of a path that a socket gets as its name. Returns 0 or a negative errno.
int make_file(SyscallContext& call, SocketAddress& address) {
    const PathAt at{.base = call.state.working_directory, .path = address.name};
    const int refused = refuse_change(call, at, true);
    const auto found = look_up(call, at, GuestFileSystem::Last::keep_link);
    if (found.exists()) return -EADDRINUSE;
    if (found.in_memory() && found.error == -ENOENT)
        return make_named(call, found.parent, found.name(), S_IFSOCK | (0777 & ~call.state.umask), address.inode);
    // On the host no sockets are made, as other programs there might connect to them.
    if (found.error != -ENOENT || !found.rule) return found.error == -ENOENT && refused ? refused : found.error;
    return -EROFS;
}

int read_address(const SyscallContext& call, const Socket& socket, SocketAddress& address) {
    return read_socket_address(call.memory, call.args[1], call.int_arg(2), socket.family, address);
}

// --- Connecting

// Where a connection to `address` begins: the socket that listens there. Returns 0 or a negative errno.
int find_listener(SyscallContext& call, const SocketAddress& address, int type, Socket*& listener) {
    SocketTable& sockets = call.state.files.sockets();
    if (address.is_ip() && !address.is_loopback() && !address.is_any()) return -ENETUNREACH;
    SocketAddress target = address;
    if (address.is_any()) {
        target = SocketAddress::loopback(address.is_ipv4() ? AF_INET : AF_INET6).in_family(address.family);
        target.port = address.port;
    }
    if (const int error = resolve_path(call, target)) return error;
    listener = sockets.find_receiver(target, type);
    return listener ? 0 : -ECONNREFUSED;
}

// Makes two pipes between the file and a connection that the listener has not accepted yet.
void connect_to(SyscallContext& call, OpenFile& file, Socket& listener, const SocketAddress& address) {
    FileTable& files = call.state.files;
    file.incoming = files.add_pipe(socket_capacity);
    file.outgoing = files.add_pipe(socket_capacity);
    Socket& socket = files.socket(file);
    SocketAddress local = address.in_family(listener.family);
    if (local.is_any() && !local.is_loopback())
        local = SocketAddress::loopback(address.is_ipv4() ? AF_INET : AF_INET6).in_family(listener.family);
    local.port = listener.local.port;
    if (!local.is_ip()) local = listener.local;
    socket.state = Socket::State::connected;
    socket.peer = local.in_family(socket.family);
    listener.pending.push_back({file.outgoing, file.incoming, local, socket.local.in_family(listener.family)});
    files.note_change(listener);
    files.note_change(file);
}

// How a call ends that began to connect a socket: as Linux', which answers packets of its own host only after the call,
// so that one that may not wait never has the result itself. The next call has it, or SO_ERROR.
std::int64_t end_connect(const OpenFile& file, Socket& socket, int result) {
    if (!socket.local.is_ip() || may_wait(file, 0)) return result;
    socket.is_connecting = true;
    socket.error = -result;
    return -EINPROGRESS;
}

std::int64_t connect_stream(SyscallContext& call, OpenFile& file, const SocketAddress& address) {
    FileTable& files = call.state.files;
    Socket& socket = files.socket(file);
    if (std::exchange(socket.is_connecting, false)) {
        const int error = std::exchange(socket.error, 0);
        return error != 0 || socket.state == Socket::State::connected ? -error : -ECONNABORTED;
    }
    if (socket.family == AF_UNIX && address.family == AF_UNSPEC) return -EINVAL;
    if (!address.is_ip() && address.family == AF_UNIX && address.name.empty()) return -EINVAL;
    // Of Unix sockets Linux looks for the other one first.
    if (socket.family != AF_UNIX && socket.state != Socket::State::fresh) return -EISCONN;
    if (address.family == AF_UNSPEC) return 0;
    Socket* listener = nullptr;
    if (const int error = find_listener(call, address, socket.type, listener)) {
        if (error == -ECONNREFUSED) files.note_change(socket);
        return error == -ECONNREFUSED ? end_connect(file, socket, error) : error;
    }
    if (socket.state != Socket::State::fresh) return socket.state == Socket::State::connected ? -EISCONN : -EINVAL;
    const bool has_room = files.has_room_for_connection();
    if (listener->pending.size() > listener->backlog || !has_room) {
        if (!has_room) call.warn(Limit::connections);
        if (has_room && listener->backlog == most_pending) call.warn(Limit::waiting_connections);
        return may_wait(file, 0) ? wait_for_socket(call, socket.send_timeout, false) : -EAGAIN;
    }
    if (const int error = files.sockets().bind_if_nameless(file.socket, address)) return error;
    connect_to(call, file, *listener, address);
    return end_connect(file, socket, 0);
}

// Datagrams go to the peer, and come from it only.
std::int64_t connect_datagram(SyscallContext& call, OpenFile& file, const SocketAddress& address) {
    FileTable& files = call.state.files;
    Socket& socket = files.socket(file);
    if (address.family == AF_UNSPEC) {
        socket.state = Socket::State::fresh;
        socket.peer = SocketAddress::any(socket.family);
        files.note_change(file);
        return 0;
    }
    if (address.is_ip() && !address.is_loopback() && !address.is_any()) return -ENETUNREACH;
    SocketAddress peer = address;
    if (const int error = resolve_path(call, peer)) return error;
    if (!address.is_ip()) {
        const Socket* receiver = files.sockets().find_receiver(peer, SOCK_DGRAM);
        if (!receiver) return -ECONNREFUSED;
        if (!takes_from(*receiver, socket)) return -EPERM;
    }
    if (const int error = files.sockets().bind_if_nameless(file.socket, address)) return error;
    socket.state = Socket::State::connected;
    socket.peer = std::move(peer);
    return 0;
}

// --- Accepting

OpenFile accepted_file(SyscallContext& call, Socket socket, int flags) {
    socket.state = Socket::State::connected;
    return socket_file(call.state.files.sockets().add(std::move(socket)), flags);
}

// What a connection has of the socket that listened for it.
Socket heir_of(const Socket& listener) {
    Socket socket = new_socket(listener.family, listener.type);
    socket.options = listener.options;
    socket.bound = listener.family != AF_UNIX;
    socket.local = listener.local;
    return socket;
}

OpenFile accept_client(SyscallContext& call, const Socket& listener, Client& client, int flags) {
    client.accept();
    Socket socket = heir_of(listener);
    socket.client = client.connection();
    if (socket.local.is_ip()) {
        socket.peer = SocketAddress::loopback(AF_INET).in_family(listener.family);
        if (listener.is_ipv6_only()) socket.peer = SocketAddress::loopback(AF_INET6);
        if (socket.local.is_any()) {
            socket.local.host = socket.peer.host;
        }
        socket.peer.port = client_port;
    }
    OpenFile file = accepted_file(call, std::move(socket), flags);
    file.kind = &kinds::client_connection;
    return file;
}

OpenFile accept_pending(SyscallContext& call, Socket& listener, int flags) {
    PendingConnection pending = std::move(listener.pending.front());
    listener.pending.erase(listener.pending.begin());
    Socket socket = heir_of(listener);
    socket.local = pending.local;
    socket.peer = pending.peer;
    call.state.files.note_change(listener);
    OpenFile file = accepted_file(call, std::move(socket), flags);
    file.incoming = pending.incoming;
    file.outgoing = pending.outgoing;
    return file;
}

std::int64_t accept(SyscallContext& call, int flags) {
    if (flags & ~type_flags) return -EINVAL;
    FileTable& files = call.state.files;
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    Socket& listener = files.socket(*file);
    if (listener.type == SOCK_DGRAM) return -EOPNOTSUPP;
    if (listener.state != Socket::State::listening) return -EINVAL;
    if (files.full()) return -EMFILE;
    Client* client = listener.pending.empty() ? waiting_client(call, listener) : nullptr;
    if (listener.pending.empty() && !client)
        return may_wait(*file, 0) ? wait_for_socket(call, listener.receive_timeout, takes_clients(call, listener))
                                  : -EAGAIN;
    OpenFile accepted = client ? accept_client(call, listener, *client, flags) : accept_pending(call, listener, flags);
    const SocketAddress peer = files.socket(accepted).peer;
    const int fd = files.open(std::move(accepted), flags & SOCK_CLOEXEC);
    if (call.args[1] == 0) return fd;
    if (const int error = write_socket_address(call.memory, peer, call.args[1], call.args[2])) {
        files.close(fd);
        return error;
    }
    return fd;
}

std::int64_t write_name(SyscallContext& call, const SocketAddress& address) {
    return write_socket_address(call.memory, address, call.args[1], call.args[2]);
}

}  // namespace

std::int64_t sys_socket(SyscallContext& call) {
    const int family = call.int_arg(0), type = call.int_arg(1);
    if (const int error = check_kind(family, type, call.int_arg(2))) return error;
    FileTable& files = call.state.files;
    if (files.full()) return -EMFILE;
    Socket socket = new_socket(family, type);
    const bool is_datagram = socket.type == SOCK_DGRAM;
    if (is_datagram) socket.inbox = files.add_pipe(socket_capacity);
    const std::uint32_t inbox = socket.inbox;
    OpenFile file = socket_file(files.sockets().add(std::move(socket)), type);
    file.incoming = inbox;
    return files.open(std::move(file), type & SOCK_CLOEXEC);
}

std::int64_t sys_socketpair(SyscallContext& call) {
    const int family = call.int_arg(0), type = call.int_arg(1);
    if (const int error = check_kind(family, type, call.int_arg(2))) return error;
    if (family != AF_UNIX) return -EOPNOTSUPP;
    if (const int error = check_room_for_pair(call, call.args[3])) return error;
    FileTable& files = call.state.files;
    Socket socket = new_socket(family, type);
    socket.state = Socket::State::connected;
    OpenFile first = socket_file(files.sockets().add(socket), type);
    OpenFile second = socket_file(files.sockets().add(socket), type);
    first.incoming = second.outgoing = files.add_pipe(socket_capacity);
    first.outgoing = second.incoming = files.add_pipe(socket_capacity);
    return open_pair(call, std::move(first), std::move(second), type & SOCK_CLOEXEC, call.args[3]);
}

std::int64_t sys_bind(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    FileTable& files = call.state.files;
    SocketAddress address;
    if (const int error = read_address(call, files.socket(*file), address)) return error;
    if (address.family == AF_UNSPEC) {
        // Linux takes it for AF_INET, when the address is that for all.
        if (files.socket(*file).family != AF_INET) return -EINVAL;
        return -EAFNOSUPPORT;
    }
    if (files.socket(*file).bound) return -EINVAL;
    if (address.is_path())
        if (const int error = make_file(call, address)) return error;
    const int error = files.sockets().bind(file->socket, std::move(address));
    if (error == 0) files.note_change(files.socket(*file));
    return error;
}

std::int64_t sys_listen(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    FileTable& files = call.state.files;
    Socket& socket = files.socket(*file);
    if (socket.type == SOCK_DGRAM) return -EOPNOTSUPP;
    if (socket.state == Socket::State::connected) return -EINVAL;
    if (socket.family == AF_UNIX && !socket.bound) return -EINVAL;
    if (!socket.bound)
        if (const int error = files.sockets().bind(file->socket, SocketAddress::any(socket.family))) return error;
    if (socket.local.is_ip() && files.sockets().is_in_use(socket, socket.local)) return -EADDRINUSE;
    const int wanted = call.int_arg(1);
    socket.backlog = wanted < 0 ? most_pending : std::min<std::size_t>(static_cast<std::size_t>(wanted), most_pending);
    socket.state = Socket::State::listening;
    files.note_change(socket);
    return 0;
}

std::int64_t sys_accept(SyscallContext& call) { return accept(call, 0); }
std::int64_t sys_accept4(SyscallContext& call) { return accept(call, call.int_arg(3)); }

std::int64_t sys_connect(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    const Socket& socket = call.state.files.socket(*file);
    SocketAddress address;
    if (const int error = read_address(call, socket, address)) return error;
    return socket.type == SOCK_DGRAM ? connect_datagram(call, *file, address) : connect_stream(call, *file, address);
}

std::int64_t sys_shutdown(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    const int how = call.int_arg(1);
    if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
    FileTable& files = call.state.files;
    Socket& socket = files.socket(*file);
    if (socket.state == Socket::State::listening) {
        if (how == SHUT_WR) return 0;
        // Threads that wait to accept learn that there will be nothing.
        end_pending(files, socket);
        socket.state = Socket::State::fresh;
        return 0;
    }
    if (socket.state != Socket::State::connected || is_over(files, *file)) return -ENOTCONN;
    if (how != SHUT_WR) {
        socket.shut_for_reading = true;
        if (file->incoming != no_pipe && socket.family == AF_UNIX) files.incoming(*file).shut = true;
    }
    if (how != SHUT_RD && !socket.shut_for_writing) {
        socket.shut_for_writing = true;
        if (file->outgoing != no_pipe) files.outgoing(*file).shut = true;
        if (socket.client != 0) files.end_output_to(socket.client);
    }
    files.note_change(*file);
    return 0;
}

std::int64_t sys_getsockname(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    SocketAddress name = call.state.files.socket(*file).local;
    name.family = call.state.files.socket(*file).family;
    return write_name(call, name);
}

std::int64_t sys_getpeername(SyscallContext& call) {
    OpenFile* file = nullptr;
    if (const int error = find_socket(call, file)) return error;
    const Socket& socket = call.state.files.socket(*file);
    if (is_over(call.state.files, *file)) return -ENOTCONN;
    return socket.state == Socket::State::connected ? write_name(call, socket.peer) : -ENOTCONN;
}

}  // namespace tinykvm::linux_abi
