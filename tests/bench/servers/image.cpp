// SPDX-License-Identifier: BSD-2-Clause
// The gallery's program for pictures as an ordinary server, to compare it with: HTTP/1.1 on a unix socket, a thread for
// each connection.
//   image_server SOCKET JSON
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "../../../guest-api/programs/image/convert.hpp"

namespace {

// Appends what comes next. False at the end.
bool receive(int connection, std::string& data) {
    char buffer[65536];
    const ssize_t got = read(connection, buffer, sizeof(buffer));
    if (got > 0) data.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
}

void send_all(int connection, std::string_view data) {
    while (!data.empty()) {
        const ssize_t sent = send(connection, data.data(), data.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        data.remove_prefix(static_cast<std::size_t>(sent));
    }
}

// Varnish names fields as its clients do.
std::size_t content_length(std::string_view head) {
    std::size_t length = 0;
    const std::size_t at = head.find("Content-Length: ");
    if (at != head.npos) std::from_chars(head.data() + at + 16, head.data() + head.size(), length);
    return length;
}

void serve(int connection, const image::Options& options) {
    image::Watermarks watermarks;
    std::string data;
    for (;;) {
        std::size_t end = 0;
        while ((end = data.find("\r\n\r\n")) == data.npos) {
            if (!receive(connection, data)) break;
        }
        if (end == data.npos) break;
        const std::size_t begin = end + 4, length = content_length(std::string_view(data).substr(0, end));
        while (data.size() < begin + length && receive(connection, data)) {
        }
        const image::Converted result =
            image::convert(std::string_view(data).substr(begin, length), "", options, watermarks);
        data.erase(0, begin + length);
        send_all(connection, std::string("HTTP/1.1 200 OK\r\nContent-Type: ") + image::content_type_of(result.format) +
                                 "\r\nContent-Length: " + std::to_string(result.data.size()) + "\r\n\r\n");
        send_all(connection, result.data);
    }
    close(connection);
}

}  // namespace

int main(int argc, char** argv) {
    sockaddr_un address{};
    if (argc != 3 || std::strlen(argv[1]) >= sizeof(address.sun_path)) {
        std::fputs("Usage: image_server SOCKET JSON\n", stderr);
        return 2;
    }
    const image::Options options = image::parse_options(argv[2], {});
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, argv[1]);  // NOLINT(clang-analyzer-security.insecureAPI.strcpy): it fits
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener, 64) != 0) {
        std::perror(argv[1]);
        return 1;
    }
    for (;;) {
        const int connection = accept(listener, nullptr, nullptr);
        if (connection >= 0) std::thread(serve, connection, options).detach();
    }
}
