// What the guest programs about sockets print with: calls, and what came of them.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static inline const char* error_name(long result) {
    static const struct {
        int number;
        const char* name;
    } names[] = {{EAGAIN, "EAGAIN"},
                 {EBADF, "EBADF"},
                 {EINVAL, "EINVAL"},
                 {EFAULT, "EFAULT"},
                 {EPIPE, "EPIPE"},
                 {ENOTSOCK, "ENOTSOCK"},
                 {ENOTCONN, "ENOTCONN"},
                 {EISCONN, "EISCONN"},
                 {EADDRINUSE, "EADDRINUSE"},
                 {EADDRNOTAVAIL, "EADDRNOTAVAIL"},
                 {ECONNREFUSED, "ECONNREFUSED"},
                 {EOPNOTSUPP, "EOPNOTSUPP"},
                 {EAFNOSUPPORT, "EAFNOSUPPORT"},
                 {EPROTONOSUPPORT, "EPROTONOSUPPORT"},
                 {ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"},
                 {ENOPROTOOPT, "ENOPROTOOPT"},
                 {EDESTADDRREQ, "EDESTADDRREQ"},
                 {EMSGSIZE, "EMSGSIZE"},
                 {ENOENT, "ENOENT"},
                 {ECONNRESET, "ECONNRESET"},
                 {EDOM, "EDOM"},
                 {ENXIO, "ENXIO"},
                 {EPERM, "EPERM"},
                 {ENOTDIR, "ENOTDIR"},
                 {EPROTOTYPE, "EPROTOTYPE"}};
    if (result >= 0) return "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == errno) return names[i].name;
    return strerror(errno);
}

#define SHOW(call)                                                    \
    ({                                                                \
        errno = 0;                                                    \
        long result_ = (long)(call);                                  \
        printf("%s = %ld %s\n", #call, result_, error_name(result_)); \
        result_;                                                      \
    })
// The same without the value, when that is a descriptor.
#define TRY(call)                                                                     \
    ({                                                                                \
        errno = 0;                                                                    \
        long result_ = (long)(call);                                                  \
        printf("%s: %s %s\n", #call, result_ < 0 ? "-1" : "ok", error_name(result_)); \
        (int)result_;                                                                 \
    })

static inline struct sockaddr_in v4(unsigned host, int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
}
static inline struct sockaddr* any_of(void* address) { return address; }

static inline int events_of(int fd) {
    struct pollfd entry = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
    poll(&entry, 1, 0);
    return entry.revents;
}
#define EVENTS(fd) printf("events of %s: %x\n", #fd, events_of(fd))

// An abstract name that no other process has, of the same length in all of them.
static inline struct sockaddr_un own_name(const char* name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "network-%07d-%s", getpid(), name);
    return address;
}
static inline int bind_own(int fd, const char* name) {
    struct sockaddr_un address = own_name(name);
    return bind(fd, any_of(&address), sizeof address);
}
static inline int connect_own(int fd, const char* name) {
    struct sockaddr_un address = own_name(name);
    return connect(fd, any_of(&address), sizeof address);
}
static inline ssize_t send_own(int fd, const char* text, const char* name) {
    struct sockaddr_un address = own_name(name);
    return sendto(fd, text, strlen(text), MSG_DONTWAIT, any_of(&address), sizeof address);
}
