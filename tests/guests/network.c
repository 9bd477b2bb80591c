// Connections between sockets of one process: names, options, shutdown, ends, poll and epoll. datagrams.c has messages.
// What is printed is the same natively and in the sandbox; ports that the kernel chooses are not printed.
#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static void print_address(const char* what, const struct sockaddr_storage* address, socklen_t size, int port) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in* in = (const void*)address;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        printf("%s: AF_INET %s %s size %u\n", what, text, ntohs(in->sin_port) == port ? "same port" : "another port",
               size);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6* in = (const void*)address;
        inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
        printf("%s: AF_INET6 %s %s size %u\n", what, text, ntohs(in->sin6_port) == port ? "same port" : "another port",
               size);
    } else {
        printf("%s: family %d size %u\n", what, address->ss_family, size);
    }
}
static void print_names(int fd, int port) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    if (SHOW(getsockname(fd, any_of(&address), &size)) == 0) print_address("name", &address, size, port);
    size = sizeof address;
    memset(&address, 0, sizeof address);
    if (SHOW(getpeername(fd, any_of(&address), &size)) == 0) print_address("peer", &address, size, port);
}

// A socket that listens on 127.0.0.1, or on [::]; its port goes to *port.
static int listener(int family, int* port) {
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = v4(INADDR_LOOPBACK, 0);
    bind(fd, family == AF_INET ? any_of(&four) : any_of(&six), family == AF_INET ? sizeof four : sizeof six);
    listen(fd, 8);
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    getsockname(fd, any_of(&address), &size);
    *port = ntohs(((struct sockaddr_in*)&address)->sin_port);
    return fd;
}

static void errors(void) {
    puts("--- errors");
    TRY(socket(AF_INET, 99, 0));
    TRY(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    TRY(socket(AF_UNIX, SOCK_RDM, 0));
    TRY(socket(AF_APPLETALK, SOCK_STREAM, 0));
    int p[2];
    if (pipe(p)) return;
    TRY(listen(p[0], 1));
    TRY(accept(p[0], NULL, NULL));
    TRY(getsockname(999, NULL, NULL));
    TRY(send(p[1], "x", 1, 0));
    int s = TRY(socket(AF_INET, SOCK_STREAM, 0));
    EVENTS(s);
    char byte;
    TRY(recv(s, &byte, 1, 0));
    TRY(send(s, "x", 1, MSG_NOSIGNAL));
    TRY(accept(s, NULL, NULL));
    TRY(shutdown(s, SHUT_WR));
    print_names(s, 0);
    struct sockaddr_in away = v4(0x08080808, 53), closed = v4(INADDR_LOOPBACK, 1);
    TRY(bind(s, any_of(&away), sizeof away));
    TRY(connect(s, any_of(&closed), sizeof closed));
    TRY(connect(s, any_of(&closed), 3));
    struct sockaddr_un missing = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    int u = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
    TRY(connect(u, any_of(&missing), sizeof missing));
    TRY(recv(u, &byte, 1, 0));
    TRY(send(u, "x", 1, MSG_NOSIGNAL));
    TRY(listen(u, 1));
    close(s), close(u), close(p[0]), close(p[1]);
}

static void stream(int family) {
    printf("--- stream of family %d\n", family);
    int port, server = listener(family, &port);
    EVENTS(server);
    TRY(accept(server, NULL, NULL));
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in target = v4(INADDR_LOOPBACK, port);
    TRY(connect(client, any_of(&target), sizeof target));
    TRY(connect(client, any_of(&target), sizeof target));
    EVENTS(server);
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    int s = TRY(accept4(server, any_of(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    print_address("accepted", &peer, size, port);
    printf("flags %x %x\n", fcntl(s, F_GETFL) & O_NONBLOCK, fcntl(s, F_GETFD));
    print_names(client, port);
    print_names(s, port);
    EVENTS(s);
    char buffer[64] = "";
    TRY(recv(s, buffer, sizeof buffer, 0));
    SHOW(send(client, "hello world", 11, 0));
    EVENTS(s);
    int count = 0;
    ioctl(s, FIONREAD, &count);
    printf("available %d\n", count);
    SHOW(recv(s, buffer, 5, MSG_PEEK));
    SHOW(recv(s, buffer, 6, 0));
    SHOW(recv(s, buffer + 6, 50, MSG_DONTWAIT));
    puts(buffer);
    struct iovec parts[2] = {{"ab", 2}, {"cdef", 4}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    SHOW(sendmsg(s, &message, 0));
    char one[3], two[10];
    struct iovec into[2] = {{one, 3}, {two, 10}};
    struct sockaddr_storage from;
    struct msghdr got = {.msg_iov = into, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = sizeof from};
    SHOW(recvmsg(client, &got, 0));
    printf("%.3s %.3s flags %x\n", one, two, got.msg_flags);
    SHOW(writev(s, parts, 2));
    SHOW(readv(client, into, 2));
    SHOW(shutdown(client, SHUT_WR));
    EVENTS(s);
    EVENTS(client);
    SHOW(recv(s, buffer, 1, 0));
    TRY(send(client, "x", 1, MSG_NOSIGNAL));
    SHOW(send(s, "late", 4, 0));
    SHOW(recv(client, buffer, 4, MSG_WAITALL));
    SHOW(close(s));
    SHOW(recv(client, buffer, 4, 0));
    EVENTS(client);
    close(client), close(server);
}

static void names(void) {
    puts("--- names");
    int port, server = listener(AF_INET, &port);
    struct sockaddr_in same = v4(INADDR_LOOPBACK, port), any = v4(INADDR_ANY, port);
    int other = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    TRY(bind(other, any_of(&same), sizeof same));
    TRY(bind(other, any_of(&any), sizeof any));
    setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    TRY(bind(other, any_of(&same), sizeof same));
    TRY(connect(other, any_of(&any), sizeof any));
    close(server);
    int again = socket(AF_INET, SOCK_STREAM, 0);
    TRY(connect(again, any_of(&same), sizeof same));
    struct sockaddr_un abstract = own_name("listener");
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract.sun_path + 1);
    int u = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect(c, any_of(&abstract), size));
    TRY(bind(u, any_of(&abstract), size));
    TRY(bind(u, any_of(&abstract), size));
    TRY(bind(c, any_of(&abstract), size));
    TRY(connect(c, any_of(&abstract), size));
    TRY(listen(u, 1));
    TRY(connect(c, any_of(&abstract), size));
    print_names(c, 0);
    int s = TRY(accept(u, NULL, NULL));
    print_names(s, 0);
    char byte;
    SHOW(write(c, "u", 1));
    SHOW(read(s, &byte, 1));
    SHOW(close(c));
    EVENTS(s);
    SHOW(read(s, &byte, 1));
    TRY(send(s, "x", 1, MSG_NOSIGNAL));
    int c1 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c2 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0),
        c3 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect(c1, any_of(&abstract), size));
    TRY(connect(c2, any_of(&abstract), size));
    TRY(connect(c3, any_of(&abstract), size));
    close(s), close(u), close(other), close(again);
    EVENTS(c1);
    close(c1), close(c2), close(c3);
}

static void paths(void) {
    puts("--- paths");
    char folder[] = "/tmp/network-XXXXXX";
    if (!mkdtemp(folder) || chdir(folder)) return;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"},
                       other = {.sun_family = AF_UNIX, .sun_path = "renamed"},
                       away = {.sun_family = AF_UNIX, .sun_path = "none/socket"},
                       file = {.sun_family = AF_UNIX, .sun_path = "file"};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c = socket(AF_UNIX, SOCK_STREAM, 0),
        t = socket(AF_UNIX, SOCK_STREAM, 0);
    TRY(connect(c, any_of(&name), sizeof name));
    TRY(bind(s, any_of(&away), sizeof away));
    TRY(bind(s, any_of(&name), sizeof name));
    struct stat status;
    SHOW(stat("socket", &status));
    printf("%o\n", status.st_mode);
    TRY(open("socket", O_RDWR));
    TRY(connect(c, any_of(&name), sizeof name));
    TRY(listen(s, 4));
    TRY(bind(t, any_of(&name), sizeof name));
    TRY(connect(c, any_of(&name), sizeof name));
    int a = TRY(accept(s, NULL, NULL));
    struct sockaddr_un got = {0};
    socklen_t size = sizeof got;
    SHOW(getsockname(s, any_of(&got), &size));
    printf("%s %u\n", got.sun_path, size);
    SHOW(rename("socket", "renamed"));
    close(c);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    TRY(connect(c, any_of(&name), sizeof name));
    TRY(connect(c, any_of(&other), sizeof other));
    close(creat("file", 0600));
    int d = socket(AF_UNIX, SOCK_STREAM, 0);
    TRY(connect(d, any_of(&file), sizeof file));
    SHOW(unlink("renamed"));
    TRY(connect(d, any_of(&other), sizeof other));
    TRY(bind(t, any_of(&other), sizeof other));
    TRY(connect(d, any_of(&other), sizeof other));
    close(s), close(t);
    TRY(connect(d, any_of(&other), sizeof other));
    close(a), close(c), close(d);
    unlink("renamed"), unlink("file");
    if (chdir("/")) return;
    SHOW(rmdir(folder) == 0);
}

static void options(void) {
    puts("--- options");
    int s = socket(AF_INET, SOCK_STREAM, 0), value = 7;
    socklen_t size = sizeof value;
#define OPTION(level, name)                                     \
    do {                                                        \
        value = 7, size = sizeof value;                         \
        SHOW(getsockopt(s, level, name, &value, &size));        \
        printf("  %d, size %u\n", value, size);                 \
        value = 1;                                              \
        SHOW(setsockopt(s, level, name, &value, sizeof value)); \
        value = 7;                                              \
        getsockopt(s, level, name, &value, &size);              \
        printf("  %d\n", value);                                \
    } while (0)
    OPTION(SOL_SOCKET, SO_REUSEADDR);
    OPTION(SOL_SOCKET, SO_REUSEPORT);
    OPTION(SOL_SOCKET, SO_KEEPALIVE);
    OPTION(SOL_SOCKET, SO_BROADCAST);
    OPTION(SOL_SOCKET, SO_OOBINLINE);
    OPTION(IPPROTO_TCP, TCP_NODELAY);
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE);
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL);
    OPTION(IPPROTO_TCP, TCP_KEEPCNT);
    OPTION(SOL_SOCKET, SO_TYPE);
    OPTION(SOL_SOCKET, SO_DOMAIN);
    OPTION(SOL_SOCKET, SO_PROTOCOL);
    OPTION(SOL_SOCKET, SO_ACCEPTCONN);
    OPTION(SOL_SOCKET, SO_ERROR);
    OPTION(SOL_SOCKET, 9999);
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY);
    struct linger linger = {1, 5}, back = {0};
    SHOW(setsockopt(s, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    size = sizeof back;
    SHOW(getsockopt(s, SOL_SOCKET, SO_LINGER, &back, &size));
    printf("linger %d %d\n", back.l_onoff, back.l_linger);
    struct timeval time = {2, 500000}, then = {0};
    SHOW(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    size = sizeof then;
    SHOW(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &then, &size));
    printf("timeout %ld %ld\n", (long)then.tv_sec, (long)then.tv_usec);
    time.tv_usec = 1000000;
    SHOW(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &value, 2));
    SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, (void*)8, 4));
    close(s);
    s = socket(AF_INET6, SOCK_STREAM, 0);
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY);
    close(s);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    OPTION(IPPROTO_TCP, TCP_NODELAY);
    close(s);
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct timeval short_time = {0, 20000};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time);
    char byte;
    TRY(read(pair[0], &byte, 1));
    struct ucred credentials = {0};
    size = sizeof credentials;
    SHOW(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    printf("peer is this process: %d\n", credentials.pid == getpid() && credentials.uid == getuid());
    close(pair[0]), close(pair[1]);
}

// Calls in an order that no usual program has.
static void odd_orders(void) {
    puts("--- calls in other orders");
    int port, server = listener(AF_INET, &port), second = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    fcntl(server, F_SETFL, 0);
    struct sockaddr_in name = v4(INADDR_LOOPBACK, port);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(shutdown(server, SHUT_WR));
    SHOW(listen(server, 3));
    SHOW(connect(client, any_of(&name), sizeof name));
    int s = accept(server, NULL, NULL);
    TRY(accept(client, NULL, NULL));
    TRY(listen(client, 1));
    char byte;
    SHOW(shutdown(client, SHUT_RD));
    SHOW(recv(client, &byte, 1, 0));
    SHOW(send(s, "x", 1, 0));
    SHOW(recv(client, &byte, 1, 0));
    SHOW(recv(client, &byte, 1, 0));
    close(server), close(client), close(s);
    // Two sockets may have a port when both want that, but one of them listens.
    server = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    name.sin_port = 0;
    socklen_t size = sizeof name;
    SHOW(bind(server, any_of(&name), sizeof name));
    getsockname(server, any_of(&name), &size);
    SHOW(bind(second, any_of(&name), sizeof name));
    SHOW(listen(server, 1));
    TRY(listen(second, 1));
    SHOW(listen(server, 2));
    close(server);
    SHOW(listen(second, 1));
    close(second);
}

static void* echo(void* argument) {
    int server = *(int*)argument, s = accept(server, NULL, NULL);
    char buffer[4096];
    ssize_t got;
    while ((got = read(s, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < got;) done += write(s, buffer + done, (size_t)(got - done));
    close(s);
    return NULL;
}

static void blocking(void) {
    puts("--- a thread that accepts and echoes a megabyte");
    int port, server = listener(AF_INET6, &port);
    fcntl(server, F_SETFL, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, echo, &server);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in target = v4(INADDR_LOOPBACK, port);
    TRY(connect(client, any_of(&target), sizeof target));
    unsigned char out[1 << 12], in[1 << 12];
    unsigned long sum_out = 0, sum_in = 0;
    for (int i = 0; i < 256; i++) {
        for (size_t j = 0; j < sizeof out; j++) sum_out += out[j] = (unsigned char)(i * 31 + j * 7);
        if (send(client, out, sizeof out, 0) != sizeof out) puts("short");
        if (recv(client, in, sizeof in, MSG_WAITALL) != sizeof in) puts("short");
        for (size_t j = 0; j < sizeof in; j++) sum_in += in[j];
    }
    printf("same: %d\n", sum_in == sum_out);
    SHOW(shutdown(client, SHUT_WR));
    SHOW(read(client, in, 1));
    pthread_join(thread, NULL);
    close(client), close(server);
}

static void edges(void) {
    puts("--- epoll");
    int port, server = listener(AF_INET, &port), set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = server}, got[8];
    SHOW(epoll_ctl(set, EPOLL_CTL_ADD, server, &event) == 0);
    SHOW(epoll_wait(set, got, 8, 0));
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in target = v4(INADDR_LOOPBACK, port);
    connect(client, any_of(&target), sizeof target);
    SHOW(epoll_wait(set, got, 8, 0));
    SHOW(epoll_wait(set, got, 8, 0));
    int s = accept4(server, NULL, NULL, SOCK_NONBLOCK);
    event = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = s};
    SHOW(epoll_ctl(set, EPOLL_CTL_ADD, s, &event));
    printf("%ld", (long)epoll_wait(set, got, 8, 0));
    printf(" %x\n", got[0].events);
    SHOW(epoll_wait(set, got, 8, 0));
    SHOW(write(client, "x", 1));
    printf("%ld", (long)epoll_wait(set, got, 8, 0));
    printf(" %x\n", got[0].events);
    SHOW(epoll_wait(set, got, 8, 0));
    SHOW(write(client, "y", 1));
    SHOW(epoll_wait(set, got, 8, 0));
    char buffer[8];
    SHOW(read(s, buffer, 8));
    SHOW(shutdown(client, SHUT_WR));
    printf("%ld", (long)epoll_wait(set, got, 8, 0));
    printf(" %x\n", got[0].events);
    close(client), close(s), close(server), close(set);
}

// Both ends of a connection, and where it was made.
static struct sockaddr_in connect_pair(int* one, int* other) {
    struct sockaddr_in at = v4(INADDR_LOOPBACK, 0);
    socklen_t size = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    bind(server, any_of(&at), sizeof at);
    listen(server, 2);
    getsockname(server, any_of(&at), &size);
    *one = socket(AF_INET, SOCK_STREAM, 0);
    connect(*one, any_of(&at), sizeof at);
    *other = accept(server, NULL, NULL);
    close(server);
    return at;
}

static void ends_of_connections(void) {
    puts("--- ends of connections");
    char buffer[8];
    struct linger none = {1, 0};
    int a, b;
    connect_pair(&a, &b);
    send(b, "12", 2, 0);
    close(b);
    SHOW(send(a, "lost", 4, MSG_NOSIGNAL));
    EVENTS(a);
    SHOW(recv(a, buffer, 1, 0));
    SHOW(recv(a, buffer, 8, 0));
    SHOW(recv(a, buffer, 8, 0));
    SHOW(send(a, "x", 1, MSG_NOSIGNAL));
    SHOW(send(a, "x", 1, MSG_NOSIGNAL));
    EVENTS(a);
    SHOW(shutdown(a, SHUT_WR));
    close(a);
    connect_pair(&a, &b);
    setsockopt(b, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(b);
    EVENTS(a);
    SHOW(recv(a, buffer, 8, 0));
    SHOW(recv(a, buffer, 8, 0));
    SHOW(send(a, "x", 1, MSG_NOSIGNAL));
    close(a);
    connect_pair(&a, &b);
    send(a, "unread", 6, 0);
    send(b, "34", 2, 0);
    close(b);
    EVENTS(a);
    SHOW(recv(a, buffer, 8, 0));
    SHOW(recv(a, buffer, 8, 0));
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    SHOW(getpeername(a, any_of(&peer), &size));
    close(a);
}

static void connecting_without_waiting(void) {
    puts("--- connecting without waiting");
    int a, b;
    struct sockaddr_in nobody = connect_pair(&a, &b);
    close(a), close(b);
    int refused = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
    socklen_t size = sizeof error;
    SHOW(connect(refused, any_of(&nobody), sizeof nobody));
    EVENTS(refused);
    SHOW(getsockopt(refused, SOL_SOCKET, SO_ERROR, &error, &size));
    errno = error;
    printf("%s\n", error_name(-1));
    SHOW(connect(refused, any_of(&nobody), sizeof nobody));
    SHOW(connect(refused, any_of(&nobody), sizeof nobody));
    SHOW(connect(refused, any_of(&nobody), sizeof nobody));
    close(refused);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = v4(INADDR_LOOPBACK, 0);
    bind(server, any_of(&at), sizeof at);
    listen(server, 2);
    size = sizeof at;
    getsockname(server, any_of(&at), &size);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    SHOW(connect(client, any_of(&at), sizeof at));
    EVENTS(client);
    SHOW(connect(client, any_of(&at), sizeof at));
    SHOW(connect(client, any_of(&at), sizeof at));
    close(client), close(server);
}

// What is connected already, or once was.
static void connected_pairs(void) {
    puts("--- connected pairs");
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    char in[8];
    int pair[2], server = socket(AF_UNIX, SOCK_STREAM, 0);
    bind_own(server, "server"), listen(server, 3);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    SHOW(connect_own(pair[0], "server"));
    SHOW(connect_own(pair[0], "nothing"));
    SHOW(connect(pair[0], &nobody, sizeof nobody));
    SHOW(connect_own(server, "server"));
    SHOW(write(pair[0], "x", 1));
    EVENTS(pair[1]);
    close(pair[0]), close(pair[1]);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(connect(client, &nobody, sizeof nobody));
    SHOW(connect_own(client, "server"));
    SHOW(connect_own(client, "server"));
    close(client), close(server);

    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    SHOW(write(pair[0], "a", 1));
    SHOW(connect(pair[0], &nobody, sizeof nobody));
    SHOW(write(pair[0], "b", 1));
    SHOW(write(pair[1], "c", 1));
    SHOW(recv(pair[1], in, sizeof in, MSG_DONTWAIT));
    EVENTS(pair[0]);
    EVENTS(pair[1]);
    close(pair[0]);
    SHOW(recv(pair[1], in, sizeof in, MSG_DONTWAIT));
    SHOW(write(pair[1], "d", 1));
    SHOW(write(pair[1], "e", 1));
    EVENTS(pair[1]);
    close(pair[1]);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGPIPE, SIG_IGN);
    errors();
    stream(AF_INET);
    stream(AF_INET6);
    names();
    paths();
    options();
    odd_orders();
    blocking();
    edges();
    ends_of_connections();
    connecting_without_waiting();
    connected_pairs();
    return 0;
}
