#include "src/vmod/client_socket.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace tinykvm::vmod {

namespace {

constexpr auto longest_linger = std::chrono::seconds(1);

bool is_transient(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

int milliseconds_until(Deadline until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

}  // namespace

std::size_t ClientSocket::read(std::span<std::byte> into) {
    if (!early_.empty()) {
        const std::size_t size = std::min(into.size(), early_.size());
        std::memcpy(into.data(), early_.data(), size);
        early_ = early_.subspan(size);
        received_ += size;
        return size;
    }
    const ssize_t size = ::recv(descriptor_, into.data(), into.size(), MSG_DONTWAIT);
    if (size < 0) {
        is_gone_ |= !is_transient(errno);
        return 0;
    }
    has_ended_ |= size == 0;
    received_ += static_cast<std::size_t>(size);
    return static_cast<std::size_t>(size);
}

std::size_t ClientSocket::write(std::span<const std::byte> data) {
    const ssize_t size = ::send(descriptor_, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0) {
        is_gone_ |= !is_transient(errno);
        return 0;
    }
    sent_ += static_cast<std::size_t>(size);
    return static_cast<std::size_t>(size);
}

bool ClientSocket::write_all(std::span<const std::byte> data, std::chrono::microseconds patience) {
    Deadline until = Clock::now() + patience;
    while (!data.empty() && !is_gone_ && Clock::now() < until) {
        const std::size_t size = write(data);
        data = data.subspan(size);
        if (size > 0) {
            until = Clock::now() + patience;
        } else {
            wait(false, true, until);
        }
    }
    return data.empty();
}

void ClientSocket::wait(bool for_input, bool for_room, Deadline until) {
    pollfd entry{descriptor_, static_cast<short>((for_input ? POLLIN : 0) | (for_room ? POLLOUT : 0)), 0};
    if (::poll(&entry, 1, milliseconds_until(until)) > 0) {
        // What it sent before it left would come to nobody.
        is_gone_ |= (entry.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    }
}

void ClientSocket::linger() {
    const Deadline until = Clock::now() + longest_linger;
    std::array<std::byte, 4096> dropped{};
    (void)::shutdown(descriptor_, SHUT_WR);
    while (!has_ended_ && !is_gone_ && Clock::now() < until) {
        if (read(dropped) == 0) {
            wait(true, false, until);
        }
    }
}

bool ClientSocket::looks_gone() const {
    pollfd entry{descriptor_, 0, 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace tinykvm::vmod
