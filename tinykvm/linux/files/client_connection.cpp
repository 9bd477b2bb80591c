// A connection with a client outside of the guest: what the client sends goes straight into guest memory, and what the
// server sends straight to the client.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/client.hpp"
#include "tinykvm/linux/files/pipe.hpp"
#include "tinykvm/linux/files/socket.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

// The client, as long as it is the one of this connection; else null: it has closed its side.
Client* client_of(const SyscallContext& call, const OpenFile& file) {
    Client* client = linux_abi::client_of(call);
    return client && client->connection() == call.state.files.socket(file).client ? client : nullptr;
}

std::int64_t receive(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, Received&) {
    if (total_size(ranges) == 0) return 0;
    const Socket& socket = call.state.files.socket(file);
    Client* client = client_of(call, file);
    if (!client || socket.shut_for_reading) return 0;
    if (!client->next()) return may_wait(file, flags) ? wait_for_socket(call, socket.receive_timeout, true) : -EAGAIN;
    if (flags & MSG_PEEK) return fill_guest(call, ranges, *client->next());
    // All that there is, in whatever pieces the client has it: programs that wait with EPOLLET take a read of less than
    // they asked for as a sign that there is no more.
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        std::size_t done = 0;
        while (done < piece.size()) {
            const auto data = client->next().value_or(std::span<const std::byte>());
            const std::size_t size = std::min(piece.size() - done, data.size());
            if (size == 0) break;
            std::memcpy(piece.data() + done, data.data(), size);
            client->take(size);
            done += size;
        }
        return static_cast<std::int64_t>(done);
    });
}

// A call that ran gives the client its turn, if it wants that.
std::int64_t let_client_go_on(SyscallContext& call, const Client& client, std::int64_t result) {
    call.gives_client_its_turn = client.wants_turn();
    return result;
}

std::int64_t send(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags, const SocketAddress*) {
    const Socket& socket = call.state.files.socket(file);
    const std::uint64_t before = call.parked_with ? call.parked_with->done : 0, total = total_size(ranges);
    Client* client = client_of(call, file);
    if (!client || socket.shut_for_writing)
        return before > 0 ? static_cast<std::int64_t>(before) : broken_pipe(call, flags);
    if (total == 0) return 0;
    const std::int64_t put =
        drain_guest(call, remaining(ranges, before), [&](std::span<const std::byte> piece) -> std::int64_t {
            const std::size_t size = std::min(piece.size(), client->room());
            if (size > 0) client->write(piece.first(size));
            return static_cast<std::int64_t>(size);
        });
    if (put < 0) return before > 0 ? static_cast<std::int64_t>(before) : put;
    const std::uint64_t done = before + static_cast<std::uint64_t>(put);
    if (done == total || !may_wait(file, flags))
        return let_client_go_on(call, *client, done > 0 ? static_cast<std::int64_t>(done) : -EAGAIN);
    return call.park({.what = Wait::For::files, .for_caller = true, .done = done},
                     done > 0 ? static_cast<std::int64_t>(done) : restart_call);
}

std::int64_t available(const SyscallContext& call, const OpenFile& file) {
    const Client* client = client_of(call, file);
    const auto data = client ? client->next() : std::nullopt;
    return data ? static_cast<std::int64_t>(data->size()) : 0;
}

short readiness(const SyscallContext& call, const OpenFile& file) {
    const Socket& socket = call.state.files.socket(file);
    const Client* client = client_of(call, file);
    if (!client) return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLRDHUP | POLLHUP;
    const auto data = client->next();
    const bool ended = socket.shut_for_reading || (data && data->empty());
    int events = ended || data ? POLLIN | POLLRDNORM : 0;
    if (ended) events |= POLLRDHUP;
    if (ended && socket.shut_for_writing) events |= POLLHUP;
    if (socket.shut_for_writing || client->room() > 0) events |= POLLOUT | POLLWRNORM;
    return static_cast<short>(events);
}

void close_connection(FileTable& files, const OpenFile& file) {
    files.end_output_to(files.socket(file).client);
    files.sockets().remove(file.socket);
}

}  // namespace

constinit const FileKind kinds::client_connection{
    .read = read_socket,
    .write = write_socket,
    .receive = receive,
    .send = send,
    .status = socket_status,
    .readiness = readiness,
    .available = available,
    .close = close_connection,
    .awaits_caller = [](const SyscallContext&, const OpenFile&) { return true; },
    .can_be_in_epoll = true};

}  // namespace tinykvm::linux_abi
