// The sockets of a guest process: their names, what was set, and connections that wait to be accepted. The data that is
// between two sockets is in pipes of the FileTable. Nothing here has anything to do with the network of the host.
//
// Plain values, part of the table of descriptors.
//
// Thread safety: one owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinykvm/linux/socket_address.hpp"

namespace tinykvm::linux_abi {

inline constexpr std::uint32_t no_pipe = ~std::uint32_t{0};  // instead of a FileTable's number of a pipe

inline constexpr std::size_t most_pending = 4096;  // connections that wait to be accepted: net.core.somaxconn

// A connection as the side sees it that has not accepted it yet.
struct PendingConnection {
    std::uint32_t incoming = no_pipe, outgoing = no_pipe;
    SocketAddress local, peer;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(incoming, outgoing, local, peer);
    }
};

// What setsockopt() has set and getsockopt() reports, while nothing depends on it.
struct SocketOption {
    int level = 0, name = 0;
    std::int32_t value = 0;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(level, name, value);
    }
};

// What is known of a message that was received, besides its bytes.
struct Received {
    SocketAddress from;  // family 0: not known
    int flags = 0;       // MSG_TRUNC
};

struct Socket {
    enum class State : std::uint8_t { fresh, listening, connected };

    int family = 0;  // AF_INET, AF_INET6 or AF_UNIX
    int type = 0;    // SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET; 0: this entry is free
    State state = State::fresh;
    bool bound = false;
    bool shut_for_reading = false, shut_for_writing = false;  // by shutdown()
    bool is_connecting = false;  // connect() has answered EINPROGRESS, and was not asked again what became of it
    SocketAddress local, peer;
    int error = 0;            // SO_ERROR: an errno value
    std::size_t backlog = 0;  // most pending connections
    std::vector<PendingConnection> pending;
    std::vector<SocketOption> options;
    std::int64_t receive_timeout = 0, send_timeout = 0;  // microseconds; 0: none
    std::uint32_t inbox = no_pipe;                       // of SOCK_DGRAM: the pipe it reads from
    std::uint64_t client = 0;   // Client::connection() of a connection with a client outside of the guest; 0: another
    std::uint64_t changes = 1;  // FileTable::changes() of what is in here

    bool is_stream() const;
    bool keeps_messages() const { return !is_stream(); }
    // The value of an option that is a number.
    std::int32_t option(int level, int name, std::int32_t otherwise = 0) const;
    void set_option(int level, int name, std::int32_t value);
    // AF_INET6: IPv4 is not for it.
    bool is_ipv6_only() const;
    template <typename Archive>
    void archive(Archive& archive) {
        archive(family, type, state, bound, shut_for_reading, shut_for_writing, is_connecting, local, peer, error,
                backlog, pending, options, receive_timeout, send_timeout, inbox, client, changes);
    }
};

class SocketTable {
  public:
    // Valid until the table changes.
    Socket& at(std::uint32_t socket) { return sockets_[socket]; }
    const Socket& at(std::uint32_t socket) const { return sockets_[socket]; }
    std::uint32_t add(Socket socket);
    void remove(std::uint32_t socket) { sockets_[socket] = {}; }

    // Gives the socket an address that is local. Port 0: one that is free. Returns 0 or a negative errno.
    int bind(std::uint32_t socket, SocketAddress address);
    // The same with an address that the guest did not choose, as connect() and listen() do; if it has none.
    int bind_if_nameless(std::uint32_t socket, const SocketAddress& peer);
    // Has another socket this address, so that the socket, which is of this table, cannot have it, too?
    bool is_in_use(const Socket& by, const SocketAddress& address) const;
    // The socket that gets what is sent to an address; null: none. A stream has to listen. A datagram socket that is
    // connected takes from its peer only: `sender` is where the datagram comes from.
    Socket* find_receiver(const SocketAddress& address, int type, const Socket* sender = nullptr);
    // Streams that listen.
    std::vector<const Socket*> listening() const;

    const std::vector<Socket>& all() const { return sockets_; }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(sockets_, last_port_, last_name_);
    }

  private:
    std::uint16_t free_port(const Socket& socket, SocketAddress address);

    std::vector<Socket> sockets_;
    std::uint16_t last_port_ = 0;
    std::uint32_t last_name_ = 0;
};

}  // namespace tinykvm::linux_abi
