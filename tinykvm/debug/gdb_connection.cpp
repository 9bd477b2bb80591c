#include "tinykvm/debug/gdb_connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "tinykvm/errors.hpp"

namespace tinykvm::debug {

namespace {

constexpr auto look_around = std::chrono::milliseconds(50);
constexpr timeval send_time = {5, 0};  // a debugger that does not read for so long is none

// Can the descriptor be read? Waits until it can.
bool await_input(int fd, Deadline until, const GdbConnection::IsPointless& is_pointless) {
    for (;;) {
        if (is_pointless && is_pointless()) return false;
        const auto now = Clock::now();
        if (now >= until) return false;
        const auto wait = std::min<Clock::duration>(look_around, until - now);
        pollfd entry{fd, POLLIN, 0};
        const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
        if (::poll(&entry, 1, static_cast<int>(milliseconds)) > 0) return true;
    }
}

}  // namespace

GdbConnection::GdbConnection(std::uint16_t port)
    : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (!listening_ || ::setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listening_.get(), 1) != 0 ||
        ::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw MachineError::from_errno("cannot wait for gdb at 127.0.0.1:" + std::to_string(port), errno);
    port_ = ntohs(address.sin_port);
}

bool GdbConnection::accept(Deadline until, const IsPointless& is_pointless) {
    while (!socket_ && await_input(listening_.get(), until, is_pointless))
        socket_ = FileDescriptor(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    listening_ = {};
    if (!socket_) return false;
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &send_time, sizeof send_time);
    return true;
}

// False when there is nothing (any more); the connection may be lost then.
bool GdbConnection::read_more(int flags) {
    char bytes[4096];
    if (!socket_ || received_.size() > GdbPacketReader::max_size) return false;
    const ssize_t size = ::recv(socket_.get(), bytes, sizeof bytes, flags);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (size <= 0) {
        close();
        return false;
    }
    received_.append(bytes, static_cast<std::size_t>(size));
    return true;
}

std::optional<std::string> GdbConnection::next_packet() {
    std::size_t used = 0;
    std::optional<std::string> packet;
    while (!packet && socket_ && used < received_.size()) {
        switch (reader_.take(received_[used++])) {
            case GdbPacketReader::Event::none: break;
            case GdbPacketReader::Event::pause: pause_ = true; break;
            case GdbPacketReader::Event::rubbish: close(); break;
            case GdbPacketReader::Event::wrong: send_all("-"); break;
            case GdbPacketReader::Event::packet:
                packet = reader_.text();
                if (acknowledges_) send_all("+");
                break;
        }
    }
    received_.erase(0, used);
    return packet;
}

std::optional<std::string> GdbConnection::receive(Deadline until, const IsPointless& is_pointless) {
    for (;;) {
        if (auto packet = next_packet()) return packet;
        if (!socket_ || !await_input(socket_.get(), until, is_pointless)) return std::nullopt;
        (void)read_more(MSG_DONTWAIT);
    }
}

bool GdbConnection::take_pause() {
    while (read_more(MSG_DONTWAIT)) {
    }
    // While the program runs a debugger sends nothing else.
    const auto found = std::find(received_.begin(), received_.end(), '\3');
    if (found != received_.end()) {
        received_.erase(received_.begin(), found + 1);
        pause_ = true;
    }
    return std::exchange(pause_, false) || !socket_;
}

void GdbConnection::send(std::string_view text) { send_all(gdb_packet(text)); }

void GdbConnection::send_all(std::string_view bytes) {
    while (socket_ && !bytes.empty()) {
        const ssize_t size = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return close();
        bytes.remove_prefix(static_cast<std::size_t>(size));
    }
}

}  // namespace tinykvm::debug
