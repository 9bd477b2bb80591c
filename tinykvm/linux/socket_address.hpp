// Addresses of sockets, as values: what struct sockaddr_in, sockaddr_in6 and sockaddr_un say.
//
// Thread safety: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

struct SocketAddress {
    int family = 0;      // AF_INET, AF_INET6 or AF_UNIX; 0: none
    std::string name{};  // of AF_UNIX: a path, or an abstract name with its zero byte in front; empty: it has none
    FileId inode = 0;    // of a path: the in-memory file of that name; 0: not known
    std::array<std::uint8_t, 16> host{};  // of the others; an IPv4 address is mapped into IPv6 (RFC 4291, 2.5.5.2)
    std::uint16_t port = 0;
    std::uint32_t scope = 0;  // of AF_INET6

    template <typename Archive>
    void archive(Archive& archive) {
        archive(family, name, inode, host, port, scope);
    }
    bool operator==(const SocketAddress&) const = default;

    static SocketAddress any(int family);
    static SocketAddress loopback(int family);

    bool is_ip() const;  // AF_INET or AF_INET6
    bool is_path() const { return !name.empty() && name[0] != 0; }
    bool is_any() const;
    bool is_loopback() const;
    bool is_ipv4() const;  // of AF_INET6: an IPv4 address that is mapped
    // The same address for a socket of the other family of IP. An address that the family does not have stays.
    SocketAddress in_family(int other) const;

    // "127.0.0.1:80", "[::1]:80", "/tmp/socket" or "@abstract".
    std::string text() const;
};

// Reads the address that a guest passes to a socket of `family`. Returns 0 or a negative errno.
[[nodiscard]] int read_socket_address(const GuestMemory& memory, GuestAddr at, std::int32_t size, int family,
                                      SocketAddress& address);
// Writes as much of an address as the guest has room for, and its whole size, as accept() and getsockname() do.
// Returns 0 or a negative errno.
[[nodiscard]] int write_socket_address(GuestMemory& memory, const SocketAddress& address, GuestAddr at,
                                       GuestAddr size_at);
// The same with the size as a value that goes in and out, as recvmsg() does.
[[nodiscard]] int write_socket_address(GuestMemory& memory, const SocketAddress& address, GuestAddr at,
                                       std::int32_t& size);

}  // namespace tinykvm::linux_abi
