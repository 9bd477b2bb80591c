#include "tinykvm/linux/socket_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace tinykvm::linux_abi {

namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void set_ipv4(SocketAddress& address, in_addr_t network_order) {
    std::copy(mapped_prefix.begin(), mapped_prefix.end(), address.host.begin());
    std::memcpy(address.host.data() + mapped_prefix.size(), &network_order, sizeof network_order);
}

in_addr_t ipv4_of(const SocketAddress& address) {
    in_addr_t network_order = 0;
    std::memcpy(&network_order, address.host.data() + mapped_prefix.size(), sizeof network_order);
    return network_order;
}

// An address as bytes of one of Linux' structures.
struct Encoded {
    sockaddr_storage storage{};
    std::size_t size = 0;
};

Encoded encode(const SocketAddress& address) {
    Encoded encoded;
    if (address.family == AF_INET) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(address.port);
        in.sin_addr.s_addr = ipv4_of(address);
        encoded.size = sizeof in;
        std::memcpy(&encoded.storage, &in, sizeof in);
    } else if (address.family == AF_INET6) {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(address.port);
        std::memcpy(&in.sin6_addr, address.host.data(), address.host.size());
        in.sin6_scope_id = address.scope;
        encoded.size = sizeof in;
        std::memcpy(&encoded.storage, &in, sizeof in);
    } else {
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        std::memcpy(un.sun_path, address.name.data(), address.name.size());
        // A path is reported with its terminating zero.
        encoded.size = offsetof(sockaddr_un, sun_path) + address.name.size() + (address.is_path() ? 1 : 0);
        std::memcpy(&encoded.storage, &un, std::min(sizeof un, encoded.size));
    }
    return encoded;
}

int decode_unix(const std::array<char, sizeof(sockaddr_un) + 1>& bytes, std::size_t size, SocketAddress& address) {
    constexpr std::size_t path_at = offsetof(sockaddr_un, sun_path);
    if (size < sizeof(sa_family_t) || size > sizeof(sockaddr_un)) return -EINVAL;
    address.name.assign(bytes.data() + path_at, size - path_at);
    // A path ends at its first zero; in an abstract name all bytes count.
    if (!address.name.empty() && address.name[0] != 0) address.name.resize(std::strlen(address.name.c_str()));
    return 0;
}

}  // namespace

SocketAddress SocketAddress::any(int family) {
    SocketAddress address;
    address.family = family;
    if (family == AF_INET) set_ipv4(address, htonl(INADDR_ANY));
    return address;
}

SocketAddress SocketAddress::loopback(int family) {
    SocketAddress address = any(family);
    if (family == AF_INET) set_ipv4(address, htonl(INADDR_LOOPBACK));
    if (family == AF_INET6) address.host.back() = 1;
    return address;
}

bool SocketAddress::is_ip() const { return family == AF_INET || family == AF_INET6; }

bool SocketAddress::is_ipv4() const {
    return family == AF_INET ||
           (family == AF_INET6 && std::equal(mapped_prefix.begin(), mapped_prefix.end(), host.begin()));
}

bool SocketAddress::is_any() const {
    return is_ip() && (host == any(AF_INET6).host || (is_ipv4() && ipv4_of(*this) == htonl(INADDR_ANY)));
}

bool SocketAddress::is_loopback() const {
    return is_ipv4() ? ntohl(ipv4_of(*this)) >> 24 == IN_LOOPBACKNET : host == loopback(AF_INET6).host;
}

SocketAddress SocketAddress::in_family(int other) const {
    SocketAddress address = *this;
    if (is_ipv4() && is_ip() && (other == AF_INET || other == AF_INET6)) address.family = other;
    return address;
}

std::string SocketAddress::text() const {
    if (!is_ip()) return name.empty() ? "(no name)" : name[0] == 0 ? "@" + name.substr(1) : name;
    char buffer[INET6_ADDRSTRLEN] = {};
    const in_addr_t v4 = ipv4_of(*this);
    if (is_ipv4())
        ::inet_ntop(AF_INET, &v4, buffer, sizeof buffer);
    else
        ::inet_ntop(AF_INET6, host.data(), buffer, sizeof buffer);
    const std::string host_text = is_ipv4() ? std::string(buffer) : "[" + std::string(buffer) + "]";
    return host_text + ":" + std::to_string(port);
}

int read_socket_address(const GuestMemory& memory, GuestAddr at, std::int32_t size, int family,
                        SocketAddress& address) {
    if (size < 0 || static_cast<std::size_t>(size) > sizeof(sockaddr_storage)) return -EINVAL;
    std::array<char, sizeof(sockaddr_storage)> bytes{};
    if (size > 0 && !memory.read(at, bytes.data(), static_cast<std::size_t>(size))) return -EFAULT;
    sa_family_t said = 0;
    if (static_cast<std::size_t>(size) < sizeof said) return -EINVAL;
    std::memcpy(&said, bytes.data(), sizeof said);
    address = {};
    address.family = said;
    if (said == AF_UNSPEC) return 0;
    if (said != family) return family == AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
    if (family == AF_UNIX) {
        std::array<char, sizeof(sockaddr_un) + 1> path{};
        if (static_cast<std::size_t>(size) > sizeof(sockaddr_un)) return -EINVAL;
        std::memcpy(path.data(), bytes.data(), static_cast<std::size_t>(size));
        return decode_unix(path, static_cast<std::size_t>(size), address);
    }
    if (family == AF_INET) {
        sockaddr_in in{};
        if (static_cast<std::size_t>(size) < sizeof in) return -EINVAL;
        std::memcpy(&in, bytes.data(), sizeof in);
        set_ipv4(address, in.sin_addr.s_addr);
        address.port = ntohs(in.sin_port);
        return 0;
    }
    // The oldest form of sockaddr_in6 ends before the scope.
    constexpr std::size_t smallest = offsetof(sockaddr_in6, sin6_scope_id);
    sockaddr_in6 in{};
    if (static_cast<std::size_t>(size) < smallest) return -EINVAL;
    std::memcpy(&in, bytes.data(), std::min(sizeof in, static_cast<std::size_t>(size)));
    std::memcpy(address.host.data(), &in.sin6_addr, address.host.size());
    address.port = ntohs(in.sin6_port);
    address.scope = in.sin6_scope_id;
    return 0;
}

int write_socket_address(GuestMemory& memory, const SocketAddress& address, GuestAddr at, std::int32_t& size) {
    if (size < 0) return -EINVAL;
    const Encoded encoded = encode(address);
    const std::size_t written = std::min(static_cast<std::size_t>(size), encoded.size);
    size = static_cast<std::int32_t>(encoded.size);
    return written == 0 || memory.write(at, &encoded.storage, written) ? 0 : -EFAULT;
}

int write_socket_address(GuestMemory& memory, const SocketAddress& address, GuestAddr at, GuestAddr size_at) {
    std::int32_t size = 0;
    if (!memory.read(size_at, size)) return -EFAULT;
    if (const int error = write_socket_address(memory, address, at, size)) return error;
    return memory.write(size_at, size) ? 0 : -EFAULT;
}

}  // namespace tinykvm::linux_abi
