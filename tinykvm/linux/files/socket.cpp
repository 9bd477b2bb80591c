// Sockets, each of which reads from one pipe and writes to another: stream sockets once they are connected, datagram
// and packet sockets, which keep messages apart.
#include "tinykvm/linux/files/socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "tinykvm/client.hpp"
#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/files/pipe.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::size_t largest_udp_message = 65507;
// The most that TCP takes for a peer that has closed: no more than what goes out before the answer to it comes.
constexpr std::int32_t most_lost = 65536;

// Datagrams have no end: there may be another sender.
bool has_ended(const FileTable& files, const OpenFile& file) {
    const Socket& socket = files.socket(file);
    return socket.shut_for_reading || (socket.type != SOCK_DGRAM && files.incoming(file).has_ended());
}

// --- Receiving

std::int64_t receive_bytes(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags) {
    FileTable& files = call.state.files;
    const Socket& socket = files.socket(file);
    if (socket.state != Socket::State::connected) return socket.family == AF_UNIX ? -EINVAL : -ENOTCONN;
    const std::uint64_t total = total_size(ranges);
    Pipe& pipe = files.incoming(file);
    const std::size_t enough =
        flags & MSG_WAITALL ? static_cast<std::size_t>(std::min<std::uint64_t>(total, pipe.capacity)) : 1;
    const bool may_wait_on = may_wait(file, flags) && !has_ended(files, file);
    const bool is_over = call.parked_with && call.parked_with->is_over(Clock::now());
    if (pipe.bytes.size() < enough && may_wait_on && !is_over)
        return total == 0 ? 0 : wait_for_socket(call, socket.receive_timeout, false);
    if (pipe.bytes.empty()) return has_ended(files, file) ? 0 : -EAGAIN;
    if (!(flags & MSG_PEEK)) return read_pipe(call, file, ranges, MSG_DONTWAIT);
    return fill_guest(call, ranges, std::as_bytes(std::span(pipe.bytes)));
}

std::int64_t receive_message(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, Received& received) {
    FileTable& files = call.state.files;
    const Socket& socket = files.socket(file);
    if (file.incoming == no_pipe) return -ENOTCONN;  // SEQPACKET that is not connected
    Pipe& pipe = files.incoming(file);
    if (pipe.messages.empty()) {
        if (has_ended(files, file)) return 0;
        return may_wait(file, flags) ? wait_for_socket(call, socket.receive_timeout, false) : -EAGAIN;
    }
    const Message message = pipe.messages.front();
    const auto bytes = std::string_view(pipe.bytes).substr(0, message.size);
    const std::int64_t result = fill_guest(call, ranges, std::as_bytes(std::span(bytes)));
    received.from = message.from;
    if (result < static_cast<std::int64_t>(message.size)) received.flags |= MSG_TRUNC;
    if (!(flags & MSG_PEEK)) {
        pipe.bytes.erase(0, message.size);
        pipe.messages.erase(pipe.messages.begin());
        files.note_change(file);
    }
    return result < 0 || !(flags & MSG_TRUNC) ? result : static_cast<std::int64_t>(message.size);
}

std::int64_t receive(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, Received& received) {
    FileTable& files = call.state.files;
    Socket& socket = files.socket(file);
    // A stream gives first what came before the error, and its end when that came before it, too.
    const bool has_more = socket.is_stream() && file.incoming != no_pipe &&
                          (!files.incoming(file).bytes.empty() || socket.error == EPIPE);
    if (!has_more)
        if (const int error = std::exchange(socket.error, 0)) return -error;
    return socket.keeps_messages() ? receive_message(call, file, ranges, flags, received)
                                   : receive_bytes(call, file, ranges, flags);
}

// --- Sending

std::int64_t send_bytes(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags) {
    FileTable& files = call.state.files;
    Socket& socket = files.socket(file);
    if (socket.state != Socket::State::connected)
        return socket.family == AF_UNIX ? -ENOTCONN : broken_pipe(call, flags);
    // What TCP sends first to a peer that has closed its end is lost. The answer to it is a reset.
    if (socket.local.is_ip() && files.outgoing(file).readers == 0 && !socket.shut_for_writing) {
        socket.error = EPIPE;
        socket.shut_for_reading = socket.shut_for_writing = true;
        files.note_change(file);
        const std::int32_t buffer = socket.option(SOL_SOCKET, SO_SNDBUF, most_lost);
        return std::min<std::int64_t>(static_cast<std::int64_t>(total_size(ranges)), std::min(buffer, most_lost));
    }
    return write_pipe(call, file, ranges, flags);
}

// The pipe that a message to `to`, or to the peer, goes into. Returns 0 or a negative errno.
int find_outgoing(SyscallContext& call, const OpenFile& file, const SocketAddress* to, std::uint32_t& pipe) {
    FileTable& files = call.state.files;
    const Socket& socket = files.socket(file);
    const bool is_connected = socket.state == Socket::State::connected;
    if (!to && file.outgoing != no_pipe && is_connected) {  // one of a pair, or of SEQPACKET
        pipe = file.outgoing;
        return 0;
    }
    if (!to && !is_connected) return socket.family == AF_UNIX || socket.type != SOCK_DGRAM ? -ENOTCONN : -EDESTADDRREQ;
    if (socket.type != SOCK_DGRAM) return -EISCONN;
    const SocketAddress& address = to ? *to : socket.peer;
    if (address.is_ip() && !address.is_loopback() && !address.is_any()) return -ENETUNREACH;
    if (const int error = files.sockets().bind_if_nameless(file.socket, address)) return error;
    const Socket* receiver = files.sockets().find_receiver(address, SOCK_DGRAM, &socket);
    if (!receiver) return address.is_ip() ? 0 : -ECONNREFUSED;  // see send_message()
    // One of a pair, which the other has for itself, or connected to another one.
    if (receiver->inbox == no_pipe || !takes_from(*receiver, socket)) return -EPERM;
    pipe = receiver->inbox;
    return 0;
}

std::int64_t send_message(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, const SocketAddress* to) {
    FileTable& files = call.state.files;
    Socket& socket = files.socket(file);
    const std::uint64_t size = total_size(ranges);
    if (size > (socket.family == AF_UNIX ? socket_capacity - 1 : largest_udp_message)) return -EMSGSIZE;
    if (socket.shut_for_writing) return broken_pipe(call, flags);
    std::uint32_t number = no_pipe;
    int error = find_outgoing(call, file, to, number);
    if (error == 0 && number == no_pipe) {
        // Nobody is there. A socket that is connected has the error in its next call, as by ICMP (RFC 1122, 4.1.3.3).
        if (!to && socket.state == Socket::State::connected) {
            socket.error = ECONNREFUSED;
            files.note_change(socket);
        }
        return static_cast<std::int64_t>(size);
    }
    if (error == 0 && files.pipe(number).takes_nothing()) {
        if (socket.type == SOCK_SEQPACKET) return broken_pipe(call, flags);
        error = -ECONNREFUSED;
    }
    // Once Linux has found that the peer of AF_UNIX is gone, the socket has none any more.
    if (error == -ECONNREFUSED && !to) socket.state = Socket::State::fresh;
    if (error) return error;
    const std::size_t room = files.room(files.pipe(number));
    if (room == 0 || room < size) {
        warn_of_piped_bytes(call, files.pipe(number), size);
        if (socket.family != AF_UNIX) return static_cast<std::int64_t>(size);  // UDP drops it
        return may_wait(file, flags) ? wait_for_socket(call, socket.send_timeout, false) : -EAGAIN;
    }
    std::string bytes;
    const std::int64_t taken = drain_guest(call, ranges, [&](std::span<const std::byte> piece) {
        bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return static_cast<std::int64_t>(piece.size());
    });
    if (taken != static_cast<std::int64_t>(size)) return -EFAULT;
    Pipe& pipe = files.pipe(number);
    pipe.bytes += bytes;
    SocketAddress from = socket.local;
    from.family = socket.family == AF_UNIX && !socket.bound ? AF_UNSPEC : socket.family;
    if (from.is_ip() && from.is_any() && !from.is_loopback()) {
        const std::uint16_t port = from.port;
        from = SocketAddress::loopback(to && !to->is_ipv4() ? AF_INET6 : AF_INET).in_family(socket.family);
        from.port = port;
    }
    pipe.messages.push_back({bytes.size(), std::move(from)});
    ++pipe.changes;
    files.note_change();
    return taken;
}

std::int64_t send(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, const SocketAddress* to) {
    Socket& socket = call.state.files.socket(file);
    if (const int error = std::exchange(socket.error, 0)) return error == EPIPE ? broken_pipe(call, flags) : -error;
    return socket.keeps_messages() ? send_message(call, file, ranges, flags, to)
                                   : send_bytes(call, file, ranges, flags);
}

// --- The rest

std::int64_t available_in_socket(const SyscallContext& call, const OpenFile& file) {
    const FileTable& files = call.state.files;
    if (files.socket(file).state == Socket::State::listening) return -EINVAL;
    if (file.incoming == no_pipe) return 0;
    const Pipe& pipe = files.incoming(file);
    // Of datagrams it is the size of the next one.
    if (files.socket(file).type != SOCK_DGRAM) return static_cast<std::int64_t>(pipe.bytes.size());
    return pipe.messages.empty() ? 0 : static_cast<std::int64_t>(pipe.messages.front().size);
}

// As unix_poll() and tcp_poll() of Linux.
short socket_readiness(const SyscallContext& call, const OpenFile& file) {
    const FileTable& files = call.state.files;
    const Socket& socket = files.socket(file);
    if (socket.state == Socket::State::listening)
        return !socket.pending.empty() || waiting_client(call, socket) ? POLLIN | POLLRDNORM : 0;
    int events = socket.error ? POLLERR : 0;
    const int writable = POLLOUT | POLLWRNORM | (socket.local.is_ip() && socket.is_stream() ? 0 : POLLWRBAND);
    if (socket.is_connecting && socket.state != Socket::State::connected)
        events |= POLLIN | POLLRDNORM | POLLRDHUP;  // it was refused
    if (file.incoming == no_pipe) return static_cast<short>(events | writable | POLLHUP);
    const Pipe& in = files.incoming(file);
    const bool ended = has_ended(files, file);
    if (ended || !in.bytes.empty() || !in.messages.empty()) events |= POLLIN | POLLRDNORM;
    if (ended) events |= POLLRDHUP;
    if (socket.type == SOCK_DGRAM && ended && socket.shut_for_writing) events |= POLLHUP;
    if (file.outgoing == no_pipe) return static_cast<short>(events | writable);
    const Pipe& out = files.outgoing(file);
    const bool no_output =
        socket.family == AF_UNIX && socket.type != SOCK_DGRAM ? out.takes_nothing() : socket.shut_for_writing;
    if (ended && no_output) events |= POLLHUP;
    if (out.takes_nothing() || has_room_for_write(call, out)) events |= writable;
    return static_cast<short>(events);
}

void close_socket(FileTable& files, const OpenFile& file) {
    end_pending(files, files.socket(file));
    // What was never read is lost, which the peer learns. So it does of one that is not to linger.
    constexpr std::int32_t no_time = 1;  // as setsockopt() keeps it
    const Socket& socket = files.socket(file);
    const bool is_abrupt = socket.local.is_ip() && socket.option(SOL_SOCKET, SO_LINGER) == no_time;
    const bool is_datagram = socket.type == SOCK_DGRAM;
    if (!is_datagram && file.outgoing != no_pipe && (is_abrupt || !files.incoming(file).bytes.empty()))
        files.reset_reader(file.outgoing);
    // The inbox of a datagram socket has one end only.
    if (files.socket(file).inbox != no_pipe) {
        files.remove_pipe(files.socket(file).inbox);
    } else if (file.has_pipes()) {
        files.remove_reader(file);
    }
    if (file.outgoing != no_pipe) files.remove_writer(file);
    files.sockets().remove(file.socket);
}

}  // namespace

std::int64_t read_socket(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    Received ignored;
    return file.kind->receive(call, file, ranges, 0, ignored);
}

std::int64_t write_socket(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*) {
    return file.kind->send(call, file, ranges, 0, nullptr);
}

int socket_status(const SyscallContext&, const OpenFile& file, struct stat& status) {
    status = made_up_status(S_IFSOCK | 0777, "socket" + std::to_string(file.serial));
    return 0;
}

Client* client_of(const SyscallContext& call) { return call.options.client ? call.options.client() : nullptr; }

bool takes_clients(const SyscallContext& call, const Socket& socket) {
    if (!call.options.client || !socket.is_stream()) return false;
    const std::string& wanted = call.options.listen;
    if (wanted.empty()) return true;
    if (wanted[0] == '/') {
        SocketAddress place{.family = AF_UNIX, .name = wanted};
        return resolve_path(call, place) == 0 && place.inode == socket.local.inode;
    }
    if (!socket.local.is_ip()) return socket.local.text() == wanted;
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), port);
    return error == std::errc() && end == wanted.data() + wanted.size() && port == socket.local.port;
}

Client* waiting_client(const SyscallContext& call, const Socket& socket) {
    if (!takes_clients(call, socket)) return nullptr;
    Client* client = client_of(call);
    return client && client->connection() != 0 && !client->is_accepted() ? client : nullptr;
}

int resolve_path(const SyscallContext& call, SocketAddress& address) {
    if (!address.is_path()) return 0;
    const auto found = look_up(call, call.state.working_directory, address.name, GuestFileSystem::Last::follow);
    if (!found.exists()) return found.error;
    const MemoryInode* inode = found.in_memory() ? call.state.memory_tree->find(found.inode) : nullptr;
    if (!inode || !S_ISSOCK(inode->mode)) return -ECONNREFUSED;
    address.inode = found.inode;
    return may_access(*inode, W_OK) ? 0 : -EACCES;
}

bool is_over(const FileTable& files, const OpenFile& file) {
    const Socket& socket = files.socket(file);
    return socket.local.is_ip() && file.has_pipes() && socket.shut_for_writing && files.incoming(file).has_ended();
}

bool takes_from(const Socket& receiver, const Socket& sender) {
    if (receiver.family != AF_UNIX || receiver.state != Socket::State::connected) return true;
    const SocketAddress &peer = receiver.peer, &name = sender.local;
    if (!sender.bound) return false;
    return peer.is_path() ? peer.inode != 0 && peer.inode == name.inode : peer.name == name.name;
}

OpenFile socket_file(std::uint32_t slot, int flags) {
    static_assert(SOCK_CLOEXEC == O_CLOEXEC && SOCK_NONBLOCK == O_NONBLOCK);
    OpenFile file;
    file.kind = &kinds::socket;
    file.flags = O_RDWR | (flags & O_NONBLOCK);
    file.socket = slot;
    return file;
}

void end_pending(FileTable& files, Socket& socket) {
    for (const PendingConnection& pending : std::exchange(socket.pending, {})) {
        OpenFile end;
        end.incoming = pending.incoming;
        end.outgoing = pending.outgoing;
        files.reset_reader(pending.outgoing);
        ++files.pipe(pending.incoming).changes;
        ++files.pipe(pending.outgoing).changes;
        files.remove_reader(end);
        files.remove_writer(end);
    }
    files.note_change(socket);
}

std::optional<Clock::time_point> end_of_socket_wait(const SyscallContext& call, std::int64_t timeout) {
    return call.end_of_wait(timeout == 0 ? std::nullopt
                                         : std::optional(Clock::now() + std::chrono::microseconds(timeout)));
}

std::int64_t wait_for_socket(SyscallContext& call, std::int64_t timeout, bool for_caller) {
    const auto until = end_of_socket_wait(call, timeout);
    if (call.parked_with && call.parked_with->is_over(Clock::now())) return -EAGAIN;
    // Linux does not make a call again that has a timeout.
    return call.park({.what = Wait::For::files, .for_caller = for_caller, .until = until},
                     timeout ? -EINTR : restart_call);
}

constinit const FileKind kinds::socket{.read = read_socket,
                                       .write = write_socket,
                                       .receive = receive,
                                       .send = send,
                                       .status = socket_status,
                                       .readiness = socket_readiness,
                                       .available = available_in_socket,
                                       .close = close_socket,
                                       .awaits_caller =
                                           [](const SyscallContext& call, const OpenFile& file) {
                                               const Socket& socket = call.state.files.socket(file);
                                               return socket.state == Socket::State::listening &&
                                                      takes_clients(call, socket);
                                           },
                                       .can_be_in_epoll = true};

}  // namespace tinykvm::linux_abi
