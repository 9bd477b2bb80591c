// Sockets that keep messages apart, datagrams and packets: to each other, to peers, to pairs and to nobody.
// What is printed is the same natively and in the sandbox; ports that the kernel chooses are not printed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "network.h"

static void messages(int type) {
    printf("--- messages of type %d\n", type);
    int pair[2];
    TRY(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair));
    char buffer[16];
    SHOW(send(pair[0], "first", 5, 0));
    SHOW(send(pair[0], "second", 6, 0));
    SHOW(send(pair[0], "", 0, 0));
    SHOW(send(pair[0], "last", 4, 0));
    EVENTS(pair[1]);
    int count;
    ioctl(pair[1], FIONREAD, &count);
    printf("available %d\n", count);
    SHOW(recv(pair[1], buffer, sizeof buffer, MSG_PEEK));
    SHOW(recv(pair[1], buffer, 2, 0));
    SHOW(recv(pair[1], buffer, 2, MSG_TRUNC));
    SHOW(recv(pair[1], buffer, sizeof buffer, 0));
    struct iovec into = {buffer, 2};
    struct msghdr got = {.msg_iov = &into, .msg_iovlen = 1};
    SHOW(recvmsg(pair[1], &got, 0));
    printf("flags %x\n", got.msg_flags);
    TRY(recv(pair[1], buffer, 1, 0));
    SHOW(close(pair[1]));
    TRY(send(pair[0], "x", 1, MSG_NOSIGNAL));
    close(pair[0]);
}

static void datagrams(void) {
    puts("--- datagrams");
    int a = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), b = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in name = v4(INADDR_LOOPBACK, 0), from = {0};
    socklen_t size = sizeof name;
    TRY(bind(a, any_of(&name), sizeof name));
    getsockname(a, any_of(&name), &size);
    char buffer[16];
    TRY(recv(a, buffer, sizeof buffer, 0));
    TRY(send(b, "x", 1, 0));
    SHOW(sendto(b, "to a", 4, 0, any_of(&name), sizeof name));
    EVENTS(a);
    size = sizeof from;
    SHOW(recvfrom(a, buffer, sizeof buffer, 0, any_of(&from), &size));
    printf("from %x, port known %d\n", ntohl(from.sin_addr.s_addr), from.sin_port != 0);
    SHOW(sendto(a, "back", 4, 0, any_of(&from), sizeof from));
    SHOW(recv(b, buffer, sizeof buffer, 0));
    TRY(connect(b, any_of(&name), sizeof name));
    SHOW(send(b, "connected", 9, 0));
    SHOW(recv(a, buffer, sizeof buffer, 0));
    TRY(listen(a, 1));
    TRY(accept(a, NULL, NULL));
    close(a), close(b);
}

static void connected_datagrams(void) {
    puts("--- datagram sockets that are connected to each other, and to themselves");
    int a = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), b = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0),
        c = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in names[2] = {v4(INADDR_LOOPBACK, 0), v4(INADDR_LOOPBACK, 0)};
    socklen_t size = sizeof *names;
    bind(a, any_of(&names[0]), size), bind(b, any_of(&names[1]), size);
    getsockname(a, any_of(&names[0]), &size), getsockname(b, any_of(&names[1]), &size);
    SHOW(connect(a, any_of(&names[1]), size));
    SHOW(connect(b, any_of(&names[0]), size));
    char buffer[16];
    SHOW(send(a, "from a", 6, 0));
    SHOW(recv(b, buffer, sizeof buffer, 0));
    SHOW(send(b, "b", 1, 0));
    SHOW(recv(a, buffer, sizeof buffer, 0));
    sendto(c, "not from a", 10, 0, any_of(&names[1]), size);
    TRY(recv(b, buffer, sizeof buffer, 0));
    SHOW(connect(a, any_of(&names[0]), size));
    SHOW(send(a, "itself", 6, 0));
    SHOW(recv(a, buffer, sizeof buffer, 0));
    close(a), close(b), close(c);
}

// As a resolver that finds no name server: it must not wait for an answer.
static void to_nobody(void) {
    puts("--- datagrams to where nobody is");
    int a = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), b = socket(AF_INET, SOCK_DGRAM, 0), error = 1;
    struct sockaddr_in nobody = v4(INADDR_LOOPBACK, 0);
    socklen_t size = sizeof nobody;
    bind(b, any_of(&nobody), size), getsockname(b, any_of(&nobody), &size), close(b);
    SHOW(sendto(a, "x", 1, 0, any_of(&nobody), size));
    EVENTS(a);
    SHOW(connect(a, any_of(&nobody), size));
    SHOW(send(a, "x", 1, 0));
    EVENTS(a);
    char buffer[16];
    SHOW(recv(a, buffer, sizeof buffer, 0));
    SHOW(recv(a, buffer, sizeof buffer, 0));
    SHOW(send(a, "x", 1, 0));
    SHOW(send(a, "x", 1, 0));
    SHOW(send(a, "x", 1, 0));
    size = sizeof error;
    getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &size);
    printf("SO_ERROR %d\n", error == ECONNREFUSED);
    EVENTS(a);
    close(a);
}

static void bound_pair(void) {
    puts("--- a datagram to one of a pair");
    char buffer[16];
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
    SHOW(bind_own(pair[0], "pair"));
    int c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    SHOW(send_own(c, "x", "pair"));
    TRY(recv(pair[0], buffer, sizeof buffer, 0));
    close(c), close(pair[0]), close(pair[1]);
}

static void spliced_messages(int type) {
    printf("--- splice of messages of type %d\n", type);
    static char in[4096], out[4096];
    memset(in, 'a', sizeof in);
    int pair[2], ends[2];
    socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair);
    TRY(pipe(ends));
    SHOW(send(pair[0], in, sizeof in, 0));
    SHOW(send(pair[0], "next", 4, 0));
    // The rest of a message is lost, and nothing of it is left for the next one.
    SHOW(splice(pair[1], NULL, ends[1], NULL, 4000, 0));
    SHOW(recv(pair[1], out, sizeof out, 0));
    TRY(recv(pair[1], out, sizeof out, 0));
    SHOW(read(ends[0], out, sizeof out));
    SHOW(write(ends[1], "a message", 9));
    SHOW(splice(ends[0], NULL, pair[1], NULL, 9, 0));
    SHOW(recv(pair[0], out, sizeof out, 0));
    close(pair[0]), close(pair[1]), close(ends[0]), close(ends[1]);
}

static void* read_slowly(void* argument) {
    static char buffer[1 << 16];
    unsigned long total = 0;
    ssize_t got;
    while ((got = read(*(int*)argument, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < got; i++) total += (unsigned char)buffer[i];
    return (void*)total;
}

static void many_that_wait(void) {
    puts("--- sendmmsg that has to wait");
    static char first[1 << 20], second[1000];
    memset(first, 1, sizeof first), memset(second, 2, sizeof second);
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    pthread_t thread;
    pthread_create(&thread, NULL, read_slowly, &pair[1]);
    struct iovec parts[2] = {{first, sizeof first}, {second, sizeof second}};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = parts, .msg_iovlen = 1}},
                                  {.msg_hdr = {.msg_iov = parts + 1, .msg_iovlen = 1}}};
    SHOW(sendmmsg(pair[0], messages, 2, 0));
    printf("%u %u\n", messages[0].msg_len, messages[1].msg_len);
    close(pair[0]);
    void* sum;
    pthread_join(thread, &sum);
    printf("sum %lu\n", (unsigned long)sum);
    close(pair[1]);
}

static void senders_without_name(void) {
    puts("--- senders without a name");
    int pair[2];
    char buffer[8];
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
        if (socketpair(AF_UNIX, type, 0, pair) != 0) continue;
        struct sockaddr_un from;
        socklen_t size = sizeof from;
        send(pair[0], "x", 1, 0);
        SHOW(recvfrom(pair[1], buffer, sizeof buffer, 0, any_of(&from), &size));
        printf("size %u\n", size);
        close(pair[0]), close(pair[1]);
    }
}

// A datagram socket of AF_UNIX that is connected takes from its peer only.
static void chosen_senders(void) {
    puts("--- chosen senders");
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    char in[8];
    int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0);
    int nameless = socket(AF_UNIX, SOCK_DGRAM, 0);
    bind_own(a, "a"), bind_own(b, "b"), bind_own(c, "c");
    SHOW(connect_own(a, "b"));
    SHOW(send_own(b, "1", "a"));
    SHOW(send_own(c, "2", "a"));
    SHOW(send_own(nameless, "3", "a"));
    SHOW(connect_own(c, "a"));
    SHOW(connect_own(c, "b"));
    SHOW(connect_own(b, "a"));
    SHOW(send(c, "4", 1, MSG_DONTWAIT));
    SHOW(recv(a, in, sizeof in, MSG_DONTWAIT));
    SHOW(recv(a, in, sizeof in, MSG_DONTWAIT));
    SHOW(connect(a, &nobody, sizeof nobody));
    SHOW(send_own(c, "5", "a"));
    close(a);
    SHOW(send(b, "6", 1, MSG_DONTWAIT));
    SHOW(send(b, "7", 1, MSG_DONTWAIT));
    close(b), close(c), close(nameless);
}

static int port_of(int fd) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    getsockname(fd, any_of(&address), &size);
    return ntohs(address.sin_port);
}

// Ports of UDP sockets that are connected, and what comes back when nobody has the port.
static void ports_of_udp(void) {
    puts("--- ports of UDP");
    char in[8];
    int x = socket(AF_INET, SOCK_DGRAM, 0), y = socket(AF_INET, SOCK_DGRAM, 0), z = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any_port = v4(INADDR_LOOPBACK, 0);
    bind(x, any_of(&any_port), sizeof any_port);
    struct sockaddr_in of_x = v4(INADDR_LOOPBACK, port_of(x));
    SHOW(connect(y, any_of(&of_x), sizeof of_x));
    struct sockaddr_in of_y = v4(INADDR_LOOPBACK, port_of(y)), of_all = v4(INADDR_ANY, port_of(y));
    SHOW(bind(z, any_of(&of_y), sizeof of_y));
    SHOW(bind(z, any_of(&of_all), sizeof of_all));
    SHOW(bind(z, any_of(&of_x), sizeof of_x));
    close(x);
    SHOW(send(y, "1", 1, 0));
    EVENTS(y);
    SHOW(send(y, "2", 1, 0));
    SHOW(send(y, "3", 1, 0));
    SHOW(recv(y, in, sizeof in, MSG_DONTWAIT));
    EVENTS(y);
    SHOW(shutdown(y, SHUT_RD));
    EVENTS(y);
    SHOW(shutdown(y, SHUT_WR));
    EVENTS(y);
    close(y), close(z);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGPIPE, SIG_IGN);
    messages(SOCK_DGRAM);
    messages(SOCK_SEQPACKET);
    datagrams();
    connected_datagrams();
    to_nobody();
    bound_pair();
    spliced_messages(SOCK_DGRAM);
    spliced_messages(SOCK_SEQPACKET);
    many_that_wait();
    senders_without_name();
    chosen_senders();
    ports_of_udp();
    return 0;
}
