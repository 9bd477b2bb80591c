// What the calls for sockets and the sockets themselves share.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstdint>
#include <optional>

#include "tinykvm/linux/file_table.hpp"
#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm {

class Client;

namespace linux_abi {

// FileKind::read, write and status of both kinds of sockets: by the kind's own receive and send.
std::int64_t read_socket(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*);
std::int64_t write_socket(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*);
int socket_status(const SyscallContext&, const OpenFile& file, struct stat& status);

// The client outside of the guest (Options::client); null: there is none now.
Client* client_of(const SyscallContext& call);
// Does the caller's client connect to this socket, which listens?
bool takes_clients(const SyscallContext& call, const Socket& socket);
// The connection of the client, if it waits to be accepted by this socket; else null.
Client* waiting_client(const SyscallContext& call, const Socket& socket);

// The file of a socket in `slot`, with `flags` as of socket() and the like.
OpenFile socket_file(std::uint32_t slot, int flags);
// Looks up the in-memory file that a path of AF_UNIX names, if the address is one. Returns 0 or a negative errno:
// -ECONNREFUSED when it is no socket.
int resolve_path(const SyscallContext& call, SocketAddress& address);
// Is it a TCP connection that both sides have ended? It has no peer any more.
bool is_over(const FileTable& files, const OpenFile& file);
// A datagram socket of AF_UNIX that is connected takes from its peer only: is the sender that, or `receiver` another
// kind?
bool takes_from(const Socket& receiver, const Socket& sender);
// Ends with its pending connections, as when a socket that listens is closed.
void end_pending(FileTable& files, Socket& socket);
// The moment when a call of the socket ends that began now, by SO_RCVTIMEO or SO_SNDTIMEO in microseconds.
std::optional<Clock::time_point> end_of_socket_wait(const SyscallContext& call, std::int64_t timeout);
// Parks the thread until files change, or to the end of the timeout. Returns -EAGAIN after that.
std::int64_t wait_for_socket(SyscallContext& call, std::int64_t timeout, bool for_caller);

}  // namespace linux_abi
}  // namespace tinykvm
