// A tiny HTTP server in the test's process: what it says is up to the test.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tinykvm::host {

class HttpServer {
  public:
    // Gets a request, head and body, and returns all bytes of the response. An empty one: nothing is sent, and the
    // connection stays open until the server ends.
    using Answer = std::function<std::string(const std::string& request)>;

    // On a port of 127.0.0.1, or on a unix socket.
    explicit HttpServer(Answer answer, const std::string& path = {}) : answer_(std::move(answer)), path_(path) {
        listener_ = path.empty() ? listen_on_port() : listen_on_path();
        thread_ = std::thread([this] { accept_all(); });
    }
    ~HttpServer() {
        ends_ = true;
        shutdown(listener_, SHUT_RDWR);
        {
            const std::lock_guard lock(mutex_);
            for (const int fd : open_) shutdown(fd, SHUT_RDWR);
        }
        thread_.join();
        for (auto& one : workers_) one.join();
        close(listener_);
        if (!path_.empty()) unlink(path_.c_str());
    }
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    int port() const { return port_; }
    std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
    int connections() const { return connections_; }
    std::vector<std::string> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

  private:
    int listen_on_port() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof address;
        if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 64) != 0 ||
            getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            std::abort();
        }
        port_ = ntohs(address.sin_port);
        return fd;
    }
    int listen_on_path() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 64) != 0) {
            std::abort();
        }
        return fd;
    }
    void accept_all() {
        for (int fd = 0; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
            const std::lock_guard lock(mutex_);
            ++connections_;
            open_.push_back(fd);
            workers_.emplace_back([this, fd] { serve(fd); });
        }
    }
    void serve(int fd) {
        std::string input;
        for (;;) {
            const std::string request = next_request(fd, input);
            if (request.empty()) break;
            {
                const std::lock_guard lock(mutex_);
                requests_.push_back(request);
            }
            const std::string answer = answer_(request);
            for (std::size_t sent = 0; sent < answer.size();) {
                const ssize_t n = send(fd, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
                if (n <= 0) break;
                sent += static_cast<std::size_t>(n);
            }
            if (answer.find("Connection: close") != std::string::npos) break;
        }
        const std::lock_guard lock(mutex_);
        std::erase(open_, fd);
        close(fd);
    }
    static std::string next_request(int fd, std::string& input) {
        for (;;) {
            const std::size_t head = input.find("\r\n\r\n");
            if (head != std::string::npos) {
                const std::size_t field = input.find("Content-Length: ");
                const std::size_t body =
                    field < head ? std::strtoul(input.c_str() + field + 16, nullptr, 10) : std::size_t{0};
                if (input.size() >= head + 4 + body) {
                    std::string request = input.substr(0, head + 4 + body);
                    input.erase(0, request.size());
                    return request;
                }
            }
            char piece[65536];
            const ssize_t n = recv(fd, piece, sizeof piece, 0);
            if (n <= 0) return {};
            input.append(piece, static_cast<std::size_t>(n));
        }
    }

    const Answer answer_;
    const std::string path_;
    int listener_ = -1, port_ = 0;
    std::atomic<bool> ends_{false};
    std::atomic<int> connections_{0};
    mutable std::mutex mutex_;
    std::vector<int> open_;              // guarded by mutex_
    std::vector<std::thread> workers_;   // guarded by mutex_
    std::vector<std::string> requests_;  // guarded by mutex_
    std::thread thread_;
};

inline std::string ok(const std::string& body, const std::string& headers = {}) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

}  // namespace tinykvm::host
