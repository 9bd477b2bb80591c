// getsockopt and setsockopt: what runtimes set on every server is kept and reported back; what would need a network is
// refused as by a kernel without it.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "tinykvm/linux/files/socket.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

// An option that is a number of the guest's own.
struct NumberOption {
    int level, name;
    std::int32_t initial;
    bool is_switch = false;  // any number but 0 means 1
};

constexpr std::int32_t buffer_size = 212992;  // net.core.wmem_default

constexpr NumberOption number_options[] = {
    {SOL_SOCKET, SO_REUSEADDR, 0, true},
    {SOL_SOCKET, SO_REUSEPORT, 0, true},
    {SOL_SOCKET, SO_KEEPALIVE, 0, true},
    {SOL_SOCKET, SO_BROADCAST, 0, true},
    {SOL_SOCKET, SO_DONTROUTE, 0, true},
    {SOL_SOCKET, SO_OOBINLINE, 0, true},
    {SOL_SOCKET, SO_PASSCRED, 0, true},
    {SOL_SOCKET, SO_TIMESTAMP, 0, true},
    {SOL_SOCKET, SO_PRIORITY, 0},
    {SOL_SOCKET, SO_RCVLOWAT, 1},
    {SOL_SOCKET, SO_BUSY_POLL, 0},
    {SOL_SOCKET, SO_INCOMING_CPU, 0},
    {SOL_SOCKET, SO_SNDBUF, buffer_size},
    {SOL_SOCKET, SO_RCVBUF, buffer_size},
    {IPPROTO_TCP, TCP_NODELAY, 0, true},
    {IPPROTO_TCP, TCP_CORK, 0, true},
    {IPPROTO_TCP, TCP_KEEPIDLE, 7200},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75},
    {IPPROTO_TCP, TCP_KEEPCNT, 9},
    {IPPROTO_TCP, TCP_MAXSEG, 65483},
    {IPPROTO_TCP, TCP_SYNCNT, 6},
    {IPPROTO_TCP, TCP_LINGER2, 60},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, 0},
    {IPPROTO_TCP, TCP_QUICKACK, 1, true},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
    {IPPROTO_TCP, TCP_FASTOPEN, 0},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, -1},
    {IPPROTO_IP, IP_TOS, 0},
    {IPPROTO_IP, IP_TTL, 64},
    {IPPROTO_IP, IP_PKTINFO, 0, true},
    {IPPROTO_IP, IP_RECVERR, 0, true},
    {IPPROTO_IP, IP_RECVTOS, 0, true},
    {IPPROTO_IP, IP_MTU_DISCOVER, 1},
    {IPPROTO_IP, IP_FREEBIND, 0, true},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, true},
    {IPPROTO_IP, IP_MULTICAST_TTL, 1},
    {IPPROTO_IP, IP_MULTICAST_LOOP, 1, true},
    {IPPROTO_IPV6, IPV6_V6ONLY, 0, true},
    {IPPROTO_IPV6, IPV6_TCLASS, 0},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, true},
    {IPPROTO_IPV6, IPV6_RECVERR, 0, true},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, 0, true},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, true},
};

const NumberOption* find_number(const Socket& socket, int level, int name) {
    const bool level_fits =
        level == SOL_SOCKET || (level == IPPROTO_TCP && socket.family != AF_UNIX && socket.is_stream()) ||
        (level == IPPROTO_IP && socket.family != AF_UNIX) || (level == IPPROTO_IPV6 && socket.family == AF_INET6);
    if (!level_fits) return nullptr;
    const auto found = std::find_if(std::begin(number_options), std::end(number_options),
                                    [&](const NumberOption& one) { return one.level == level && one.name == name; });
    return found == std::end(number_options) ? nullptr : found;
}

// As on Linux: levels that a socket does not have are EOPNOTSUPP, but not when IP sets one; options that a level does
// not have are ENOPROTOOPT.
int unknown_option(const Socket& socket, int level, bool sets) {
    if (level == SOL_SOCKET) return -ENOPROTOOPT;
    if (socket.family == AF_UNIX) return -EOPNOTSUPP;
    const bool has_level = level == IPPROTO_IP || (level == IPPROTO_TCP && socket.is_stream()) ||
                           (level == IPPROTO_IPV6 && socket.family == AF_INET6);
    return has_level || sets ? -ENOPROTOOPT : -EOPNOTSUPP;
}

std::int64_t set_timeout(SyscallContext& call, Socket& socket) {
    struct {
        std::int64_t seconds, microseconds;
    } time;
    if (call.int_arg(4) < static_cast<int>(sizeof time)) return -EINVAL;
    if (!call.memory.read(call.args[3], time)) return -EFAULT;
    if (time.microseconds < 0 || time.microseconds >= 1'000'000) return -EDOM;
    constexpr std::int64_t longest = 100'000'000;  // seconds; longer than any deadline
    const std::int64_t seconds = std::clamp<std::int64_t>(time.seconds, 0, longest);
    auto& timeout = call.int_arg(2) == SO_RCVTIMEO ? socket.receive_timeout : socket.send_timeout;
    timeout = seconds * 1'000'000 + time.microseconds;
    return 0;
}

// Numbers that are kept as they are set, but for what Linux makes of some of them.
std::int64_t set_number(SyscallContext& call, Socket& socket, const NumberOption& option) {
    std::int32_t value = 0;
    if (call.int_arg(4) < static_cast<int>(sizeof value)) return -EINVAL;
    if (!call.memory.read(call.args[3], value)) return -EFAULT;
    if (option.is_switch) value = value != 0;
    if (option.level == SOL_SOCKET && (option.name == SO_SNDBUF || option.name == SO_RCVBUF)) {
        // Linux doubles it for its own use, and has a least and a most.
        value = std::clamp(value, 1152, buffer_size) * 2;
    }
    if (option.level == IPPROTO_IPV6 && option.name == IPV6_V6ONLY && socket.bound) return -EINVAL;
    if (option.level == IPPROTO_TCP && value < 0 && option.name != TCP_NOTSENT_LOWAT) return -EINVAL;
    socket.set_option(option.level, option.name, value);
    return 0;
}

template <typename Value>
std::int64_t report(SyscallContext& call, const Value& value) {
    std::int32_t room = 0;
    if (!call.memory.read(call.args[4], room)) return -EFAULT;
    if (room < 0) return -EINVAL;
    const auto size = std::min(static_cast<std::size_t>(room), sizeof value);
    const bool written = (size == 0 || call.memory.write(call.args[3], &value, size)) &&
                         call.memory.write(call.args[4], static_cast<std::int32_t>(size));
    return written ? 0 : -EFAULT;
}

std::int64_t report_timeout(SyscallContext& call, std::int64_t microseconds) {
    return report(call, std::array<std::int64_t, 2>{microseconds / 1'000'000, microseconds % 1'000'000});
}

std::int64_t report_tcp_info(SyscallContext& call, const Socket& socket) {
    constexpr std::uint8_t established = 1, closed = 7, listening = 10;
    tcp_info info{};
    info.tcpi_state = socket.state == Socket::State::connected   ? established
                      : socket.state == Socket::State::listening ? listening
                                                                 : closed;
    info.tcpi_snd_mss = info.tcpi_rcv_mss = 65483;
    info.tcpi_snd_cwnd = 10;
    if (socket.state == Socket::State::listening) {
        info.tcpi_unacked = static_cast<std::uint32_t>(socket.pending.size());
        info.tcpi_sacked = static_cast<std::uint32_t>(socket.backlog);
    }
    return report(call, info);
}

std::int64_t get_socket_level(SyscallContext& call, Socket& socket) {
    const std::int32_t number = [&]() -> std::int32_t {
        switch (call.int_arg(2)) {
            case SO_TYPE: return socket.type;
            case SO_DOMAIN: return socket.family;
            case SO_ERROR: return std::exchange(socket.error, 0);
            case SO_ACCEPTCONN: return socket.state == Socket::State::listening;
            case SO_PROTOCOL:
                return socket.family == AF_UNIX ? 0 : socket.is_stream() ? int{IPPROTO_TCP} : int{IPPROTO_UDP};
            default: return -1;
        }
    }();
    if (number >= 0) return report(call, number);
    switch (call.int_arg(2)) {
        case SO_RCVTIMEO: return report_timeout(call, socket.receive_timeout);
        case SO_SNDTIMEO: return report_timeout(call, socket.send_timeout);
        case SO_LINGER:
            return report(call, std::array<std::int32_t, 2>{socket.option(SOL_SOCKET, SO_LINGER) != 0,
                                                            std::max(0, socket.option(SOL_SOCKET, SO_LINGER) - 1)});
        case SO_PEERCRED: {
            const bool known = socket.family == AF_UNIX && socket.state == Socket::State::connected;
            return report(call, std::array<std::int32_t, 3>{known ? call.state.process_id : 0, known ? user_id : -1,
                                                            known ? user_id : -1});
        }
        default: return -ENOPROTOOPT;
    }
}

// struct linger: kept as its time and one more, so that 0 says that it is off.
std::int64_t set_linger(SyscallContext& call, Socket& socket) {
    std::array<std::int32_t, 2> linger{};
    if (call.int_arg(4) < static_cast<int>(sizeof linger)) return -EINVAL;
    if (!call.memory.read(call.args[3], linger)) return -EFAULT;
    const std::int32_t seconds = std::clamp(linger[1], 0, INT32_MAX - 1);
    socket.set_option(SOL_SOCKET, SO_LINGER, linger[0] ? seconds + 1 : 0);
    return 0;
}

}  // namespace

std::int64_t sys_setsockopt(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    if (!file->is_socket()) return -ENOTSOCK;
    Socket& socket = call.state.files.socket(*file);
    const int level = call.int_arg(1), name = call.int_arg(2);
    if (call.int_arg(4) < 0) return -EINVAL;
    if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) return set_timeout(call, socket);
    if (level == SOL_SOCKET && name == SO_LINGER) return set_linger(call, socket);
    // Privileges that the user of a guest has not.
    if (level == SOL_SOCKET && (name == SO_BINDTODEVICE || name == SO_MARK)) return -EPERM;
    const NumberOption* option = find_number(socket, level, name);
    return option ? set_number(call, socket, *option) : unknown_option(socket, level, true);
}

std::int64_t sys_getsockopt(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    if (!file->is_socket()) return -ENOTSOCK;
    Socket& socket = call.state.files.socket(*file);
    const int level = call.int_arg(1), name = call.int_arg(2);
    if (const NumberOption* option = find_number(socket, level, name))
        return report(call, socket.option(level, name, option->initial));
    if (level == SOL_SOCKET) return get_socket_level(call, socket);
    const bool is_tcp = socket.family != AF_UNIX && socket.is_stream();
    if (level == IPPROTO_TCP && name == TCP_INFO && is_tcp) return report_tcp_info(call, socket);
    if (level == IPPROTO_TCP && name == TCP_CONGESTION && is_tcp)
        return report(call, std::array<char, 16>{'c', 'u', 'b', 'i', 'c'});
    return unknown_option(socket, level, false);
}

}  // namespace tinykvm::linux_abi
