#include "tinykvm/linux/socket_table.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace tinykvm::linux_abi {

namespace {

// As Linux' ip_local_port_range.
constexpr std::uint16_t first_free_port = 32768, last_free_port = 60999;

// Does a socket with the name `local` get what is sent to `address`?
bool receives(const Socket& socket, const SocketAddress& address) {
    const SocketAddress& local = socket.local;
    if (local.is_path() || address.is_path()) return local.inode != 0 && local.inode == address.inode;
    if (!local.is_ip()) return address.family == AF_UNIX && local.name == address.name;
    if (!address.is_ip() || local.port != address.port) return false;
    if (socket.family == AF_INET && !address.is_ipv4()) return false;
    if (socket.is_ipv6_only() && address.is_ipv4()) return false;
    const bool any = local.is_any() && (local.family == AF_INET6 || address.is_ipv4());
    return any || local.host == address.host;
}

// Is the sender, which has a name, the peer of a datagram socket of IP that is connected?
bool is_peer(const Socket& socket, const Socket& sender) {
    const SocketAddress &peer = socket.peer, &name = sender.local;
    return peer.port == name.port && (peer.is_any() || name.is_any() || peer.host == name.host);
}

}  // namespace

bool Socket::is_stream() const { return type == SOCK_STREAM; }

std::int32_t Socket::option(int level, int name, std::int32_t otherwise) const {
    const auto found = std::find_if(options.begin(), options.end(), [&](const SocketOption& option) {
        return option.level == level && option.name == name;
    });
    return found == options.end() ? otherwise : found->value;
}

void Socket::set_option(int level, int name, std::int32_t value) {
    for (SocketOption& option : options)
        if (option.level == level && option.name == name) return void(option.value = value);
    options.push_back({level, name, value});
}

bool Socket::is_ipv6_only() const { return family == AF_INET6 && option(IPPROTO_IPV6, IPV6_V6ONLY) != 0; }

std::uint32_t SocketTable::add(Socket socket) {
    auto free = std::find_if(sockets_.begin(), sockets_.end(), [](const Socket& one) { return one.type == 0; });
    if (free == sockets_.end()) free = sockets_.insert(sockets_.end(), Socket{});
    *free = std::move(socket);
    return static_cast<std::uint32_t>(free - sockets_.begin());
}

// As on Linux: two sockets may have one port when both want it (SO_REUSEADDR, and none listens; SO_REUSEPORT), or when
// their addresses have nothing in common.
bool SocketTable::is_in_use(const Socket& by, const SocketAddress& address) const {
    return std::any_of(sockets_.begin(), sockets_.end(), [&](const Socket& other) {
        if (&other == &by || other.type != by.type || !other.bound) return false;
        if (address.is_path()) return false;  // the file system says whether it is
        if (!address.is_ip()) return other.family == AF_UNIX && other.local.name == address.name;
        // A connection that was accepted has the port of its listener, which a new listener may have, too.
        const bool was_accepted = other.is_stream() && other.state == Socket::State::connected;
        if (!other.local.is_ip() || other.local.port != address.port || was_accepted) return false;
        const bool no_ipv4 = by.is_ipv6_only() || (by.family == AF_INET6 && !address.is_any() && !address.is_ipv4());
        const bool other_no_ipv4 =
            other.is_ipv6_only() || (other.family == AF_INET6 && !other.local.is_any() && !other.local.is_ipv4());
        if ((no_ipv4 && other.family == AF_INET) || (other_no_ipv4 && by.family == AF_INET)) return false;
        if (!address.is_any() && !other.local.is_any() && address.host != other.local.host) return false;
        const auto both = [&](int name) {
            return by.option(SOL_SOCKET, name) != 0 && other.option(SOL_SOCKET, name) != 0;
        };
        return !both(SO_REUSEPORT) && !(both(SO_REUSEADDR) && other.state != Socket::State::listening);
    });
}

std::uint16_t SocketTable::free_port(const Socket& socket, SocketAddress address) {
    for (unsigned tries = 0; tries <= last_free_port - first_free_port; ++tries) {
        last_port_ = last_port_ < first_free_port || last_port_ == last_free_port
                         ? first_free_port
                         : static_cast<std::uint16_t>(last_port_ + 1);
        address.port = last_port_;
        if (!is_in_use(socket, address)) return last_port_;
    }
    return 0;
}

int SocketTable::bind(std::uint32_t index, SocketAddress address) {
    Socket& socket = sockets_[index];
    if (socket.bound) return -EINVAL;
    if (address.is_ip()) {
        if (!address.is_any() && !address.is_loopback()) return -EADDRNOTAVAIL;
        if (socket.is_ipv6_only() && address.is_ipv4() && !address.is_any()) return -EINVAL;
        if (address.port == 0) address.port = free_port(socket, address);
        if (address.port == 0) return -EADDRINUSE;
    } else if (address.name.empty()) {
        // Linux makes an abstract name of five hexadecimal digits.
        char digits[16];
        std::snprintf(digits, sizeof digits, "%05x", ++last_name_);
        address.name = std::string(1, '\0') + digits;
    }
    if (is_in_use(socket, address)) return -EADDRINUSE;
    // The file of a name that was removed may be another one's now.
    if (address.is_path())
        for (Socket& other : sockets_)
            if (other.local.inode == address.inode) other.local.inode = 0;
    socket.local = std::move(address);
    socket.bound = true;
    return 0;
}

int SocketTable::bind_if_nameless(std::uint32_t index, const SocketAddress& peer) {
    const Socket& socket = sockets_[index];
    if (socket.bound || socket.family == AF_UNIX) return 0;
    SocketAddress address = SocketAddress::any(socket.family);
    if (peer.is_ip()) address = SocketAddress::loopback(peer.is_ipv4() ? AF_INET : AF_INET6).in_family(socket.family);
    return bind(index, address);
}

Socket* SocketTable::find_receiver(const SocketAddress& address, int type, const Socket* sender) {
    Socket* found = nullptr;
    for (Socket& socket : sockets_) {
        if (socket.type != type || !socket.bound || !receives(socket, address)) continue;
        if (type != SOCK_DGRAM && socket.state != Socket::State::listening) continue;
        if (socket.state == Socket::State::connected && socket.peer.is_ip()) {
            if (sender && is_peer(socket, *sender)) return &socket;
            continue;
        }
        // A name of its own wins against one for all addresses.
        if (!found || found->local.is_any()) found = &socket;
    }
    return found;
}

std::vector<const Socket*> SocketTable::listening() const {
    std::vector<const Socket*> found;
    for (const Socket& socket : sockets_)
        if (socket.is_stream() && socket.state == Socket::State::listening) found.push_back(&socket);
    return found;
}

}  // namespace tinykvm::linux_abi
