// An HTTP server that knows nothing of tinykvm. How it waits for connections is its first argument, where it listens the
// second; what it answers, and what it does wrong, is the path of the request.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int requests, connections, refuses, is_impatient;
static char seed[17];  // made before the first request, as is the date
static char date[64];

struct connection {
    int fd;
    char buffer[65536];
    size_t have;  // bytes in it that were not used
};

struct request {
    char method[32], path[2048], head[32768];
    long long length;  // of the body, as the head says; -1: chunked
    int keep_alive;
};

static void wait_for(int fd, short events) {
    struct pollfd entry = {fd, events, 0};
    poll(&entry, 1, -1);
}

static int fill(struct connection* c) {
    if (c->have == sizeof c->buffer) return 0;
    for (;;) {
        const ssize_t got = recv(c->fd, c->buffer + c->have, sizeof c->buffer - c->have, 0);
        if (got < 0 && errno == EAGAIN) {
            wait_for(c->fd, POLLIN);
            continue;
        }
        if (got <= 0) return 0;
        c->have += (size_t)got;
        return 1;
    }
}

static void use(struct connection* c, size_t size) {
    c->have -= size;
    memmove(c->buffer, c->buffer + size, c->have);
}

static int send_all(struct connection* c, const void* data, size_t size) {
    const char* at = data;
    while (size > 0) {
        const ssize_t put = send(c->fd, at, size, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN) {
            wait_for(c->fd, POLLOUT);
            continue;
        }
        if (put <= 0) return 0;
        at += put;
        size -= (size_t)put;
    }
    return 1;
}

__attribute__((format(printf, 2, 3))) static int say(struct connection* c, const char* format, ...) {
    static char text[65536];
    va_list list;
    va_start(list, format);
    const int size = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return send_all(c, text, (size_t)size);
}

static int answer(struct connection* c, int status, const char* text) {
    return say(c, "HTTP/1.1 %d Some Words\r\nContent-Type: text/plain\r\nX-Count: %d\r\nX-Connections: %d\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
               status, requests, connections, strlen(text), text);
}

static const char* header(const struct request* r, const char* name) {
    const size_t size = strlen(name);
    for (const char* line = strstr(r->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, size) && line[2 + size] == ':') return line + 3 + size + (line[3 + size] == ' ');
    return NULL;
}

// 0: there is none any more.
static int read_head(struct connection* c, struct request* r) {
    char* end;
    while (!(end = memmem(c->buffer, c->have, "\r\n\r\n", 4)))
        if (!fill(c)) return 0;
    const size_t size = (size_t)(end - c->buffer) + 4;
    if (size > sizeof r->head - 1) return 0;
    memcpy(r->head, c->buffer, size);
    r->head[size] = 0;
    use(c, size);
    if (sscanf(r->head, "%31s %2047s", r->method, r->path) != 2) return 0;
    const char *length = header(r, "Content-Length"), *coding = header(r, "Transfer-Encoding"),
               *connection = header(r, "Connection");
    r->length = coding ? -1 : length ? atoll(length) : 0;
    r->keep_alive = !connection || strncasecmp(connection, "close", 5);
    return 1;
}

// Calls `part` for the body, piece by piece. Returns its size, or -1 when it is cut off.
static long long read_body(struct connection* c, const struct request* r,
                           void (*part)(struct connection*, const char*, size_t)) {
    long long total = 0, left = r->length;
    for (;;) {
        int last = 0;
        if (r->length < 0) {
            char* end;
            while (!(end = memmem(c->buffer, c->have, "\r\n", 2)))
                if (!fill(c)) return -1;
            left = strtoll(c->buffer, NULL, 16);
            use(c, (size_t)(end - c->buffer) + 2);
            last = left == 0;
            left += 2;
        }
        while (left > 0) {
            if (c->have == 0 && !fill(c)) return -1;
            const size_t size = (long long)c->have < left ? c->have : (size_t)left;
            // The end of a line follows a chunk.
            const long long end = r->length < 0 ? 2 : 0;
            const long long data = left - end < (long long)size ? left - end : (long long)size;
            if (data > 0) {
                total += data;
                if (part) part(c, c->buffer, (size_t)data);
            }
            use(c, size);
            left -= (long long)size;
        }
        if (r->length >= 0 || last) return total;
    }
}

static void say_chunk(struct connection* c, const char* data, size_t size) {
    say(c, "%zx\r\n", size);
    send_all(c, data, size);
    send_all(c, "\r\n", 2);
}

static void send_much(struct connection* c, long long size) {
    static char block[100000];
    memset(block, 'x', sizeof block);
    while (size > 0) {
        const size_t now = size < (long long)sizeof block ? (size_t)size : sizeof block;
        if (!send_all(c, block, now)) return;
        size -= (long long)now;
    }
}

static const char* outcome_of_connect(const char* host) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
    inet_pton(AF_INET, host, &to.sin_addr);
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    const char* outcome = connect(s, (void*)&to, sizeof to) ? strerrorname_np(errno) : "connected";
    close(s);
    return outcome;
}

// Answers before it has taken all of the head.
static int refuse_head(struct connection* c) {
    char bytes[20];
    recv(c->fd, bytes, sizeof bytes, MSG_WAITALL);
    return answer(c, 431, "too long"), 0;
}

// As a server with a time limit for idle connections, which looks at it first.
static int waits_too_long(const struct connection* c) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    wait_for(c->fd, POLLIN);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) * 1e-9 > 0.1;
}

// 0: the connection ends.
static int serve(struct connection* c) {
    static struct request request;
    struct request* const r = &request;
    if (refuses) return refuse_head(c);
    if (is_impatient && waits_too_long(c)) return 0;
    if (!read_head(c, r)) return 0;
    requests++;
    const char* path = r->path;
    if (!strcmp(path, "/early")) return answer(c, 413, "too much"), 0;
    if (!strcmp(path, "/middle")) {  // while more of the body is there, which it does not take
        while (c->have > 0 || fill(c)) {
            struct pollfd entry = {c->fd, POLLIN, 0};
            use(c, c->have);
            if (poll(&entry, 1, 0) == 0) break;
        }
        wait_for(c->fd, POLLIN);
        return answer(c, 413, "too much"), 0;
    }
    if (!strcmp(path, "/echo")) {
        say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        read_body(c, r, say_chunk);
        return send_all(c, "0\r\n\r\n", 5) && r->keep_alive;
    }
    const long long size = read_body(c, r, NULL);
    char text[4096];
    if (!strcmp(path, "/count")) {
        snprintf(text, sizeof text, "%d", requests);
    } else if (!strcmp(path, "/date")) {
        return say(c, "HTTP/1.1 200 OK\r\nDate: %s\r\nX-Date: %s\r\nContent-Length: 0\r\n\r\n", date, date) && r->keep_alive;
    } else if (!strcmp(path, "/seed")) {
        snprintf(text, sizeof text, "%s", seed);
    } else if (!strcmp(path, "/head")) {
        return answer(c, 200, r->head) && r->keep_alive;
    } else if (!strncmp(path, "/status/", 8)) {
        return answer(c, atoi(path + 8), "some text") && r->keep_alive;
    } else if (!strncmp(path, "/size/", 6)) {
        say(c, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", atoll(path + 6));
        return send_much(c, atoll(path + 6)), r->keep_alive;
    } else if (!strcmp(path, "/chunked")) {
        say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n");
        say(c, "6;name=value\r\nchunks\r\n5\r\n and \r\n");
        return say(c, "4\r\nmore\r\n0\r\nX-End: yes\r\n\r\n") && r->keep_alive;
    } else if (!strcmp(path, "/slow")) {
        say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 5; i++) {
            say(c, "2\r\n%d,\r\n", i);
            usleep(20000);
        }
        return say(c, "0\r\n\r\n") && r->keep_alive;
    } else if (!strcmp(path, "/interim")) {
        say(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
        snprintf(text, sizeof text, "in the end");
    } else if (!strcmp(path, "/close")) {
        return say(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"), 0;
    } else if (!strcmp(path, "/shutdown")) {
        say(c, "HTTP/1.0 200 OK\r\n\r\nuntil the end");
        shutdown(c->fd, SHUT_WR);
        return pause();
    } else if (!strcmp(path, "/exit")) {
        exit(3);
    } else if (!strcmp(path, "/last-words")) {
        say(c, "HTTP/1.1 200 OK\r\n\r\nlast words");
        exit(0);
    } else if (!strcmp(path, "/crash-later")) {
        answer(c, 200, "before it crashes");
        __builtin_trap();
    } else if (!strcmp(path, "/exit-later")) {
        answer(c, 200, "before it ends");
        exit(0);
    } else if (!strcmp(path, "/leave")) {  // without having said so
        return answer(c, 200, "and leaves"), 0;
    } else if (!strcmp(path, "/twice")) {
        answer(c, 200, "first");
        snprintf(text, sizeof text, "second");
    } else if (!strcmp(path, "/rubbish")) {
        return say(c, "This is no HTTP\r\n\r\n"), 0;
    } else if (!strcmp(path, "/half")) {
        return say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes."), 0;
    } else if (!strcmp(path, "/half-large")) {
        say(c, "HTTP/1.1 200 OK\r\nContent-Length: 1800000\r\n\r\n");
        return send_much(c, 900000), 0;
    } else if (!strcmp(path, "/half-chunked")) {
        return say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), 0;
    } else if (!strcmp(path, "/half-head")) {
        return say(c, "HTTP/1.1 200 OK\r\nContent-Le"), 0;
    } else if (!strcmp(path, "/silent")) {
        return 0;
    } else if (!strcmp(path, "/two-lengths")) {
        return say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nsizes!"), 0;
    } else if (!strcmp(path, "/bad-length")) {
        return say(c, "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nsizes"), 0;
    } else if (!strcmp(path, "/upgrade")) {
        return say(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n"), 0;
    } else if (!strcmp(path, "/status-999")) {
        return say(c, "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), 0;
    } else if (!strcmp(path, "/long-head")) {
        say(c, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 100000; i++) say(c, "X-%d: a header of many\r\n", i);
        return say(c, "Content-Length: 0\r\n\r\n"), 0;
    } else if (!strcmp(path, "/fields")) {
        return say(c, "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\n"
                      "Set-Cookie: b=2\r\nX-Spaces:    around   \r\nContent-Type: text/x-fields\r\nX-Empty:\r\nContent-Length: 6\r\n\r\nfields") &&
               r->keep_alive;
    } else if (!strcmp(path, "/crash")) {
        __builtin_trap();
    } else if (!strcmp(path, "/loop")) {
        for (;;) __asm__ volatile("");
    } else if (!strcmp(path, "/wait")) {
        return pause();
    } else if (!strcmp(path, "/fork")) {
        const pid_t child = fork();
        snprintf(text, sizeof text, "%s", child < 0 ? strerrorname_np(errno) : "forked");
    } else if (!strcmp(path, "/outside")) {
        snprintf(text, sizeof text, "%s %s %s", outcome_of_connect("192.0.2.1"), outcome_of_connect("127.0.0.1"),
                 outcome_of_connect("8.8.8.8"));
    } else if (!strcmp(path, "/peer")) {
        struct sockaddr_storage peer = {0};
        socklen_t peer_size = sizeof peer;
        char host[INET6_ADDRSTRLEN] = "";
        getpeername(c->fd, (void*)&peer, &peer_size);
        if (peer.ss_family == AF_INET) inet_ntop(AF_INET, &((struct sockaddr_in*)&peer)->sin_addr, host, sizeof host);
        if (peer.ss_family == AF_INET6) inet_ntop(AF_INET6, &((struct sockaddr_in6*)&peer)->sin6_addr, host, sizeof host);
        snprintf(text, sizeof text, "%d %s", peer.ss_family, host);
    } else {
        snprintf(text, sizeof text, "%s %s with %lld bytes", r->method, path, size);
    }
    if (!strcmp(r->method, "HEAD")) {
        return say(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(text)) && r->keep_alive;
    }
    return answer(c, 200, text) && r->keep_alive;
}

static void* serve_connection(void* argument) {
    struct connection* c = calloc(1, sizeof *c);
    c->fd = (int)(long)argument;
    connections++;
    while (serve(c)) {
    }
    close(c->fd);
    free(c);
    return NULL;
}

static int listen_at(const char* place, int flags) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr* address = (void*)&un;
    socklen_t size = sizeof un;
    if (place[0] == '/') {
        snprintf(un.sun_path, sizeof un.sun_path, "%s", place);
    } else if (place[0] == '6') {
        in6.sin6_port = htons((unsigned short)atoi(place + 1));
        address = (void*)&in6, size = sizeof in6;
    } else {
        in.sin_port = htons((unsigned short)atoi(place));
        address = (void*)&in, size = sizeof in;
    }
    const int s = socket(address->sa_family, SOCK_STREAM | flags, 0), on = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s, address, size) || listen(s, 16)) {
        perror(place);
        exit(1);
    }
    return s;
}

__attribute__((noreturn)) static void* accept_for_ever(void* argument) {
    for (;;) serve_connection((void*)(long)accept((int)(long)argument, NULL, NULL));
}

int main(int argc, char** argv) {
    const char *how = argc > 1 ? argv[1] : "accept", *where = argc > 2 ? argv[2] : "8080";
    pthread_t thread;
    signal(SIGPIPE, SIG_IGN);
    snprintf(seed, sizeof seed, "%d", getpid());
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&(time_t){time(NULL)}));
    fprintf(stderr, "the server starts\n");
    if (!strcmp(how, "nowhere")) return pause();
    if (!strcmp(how, "ends")) return 4;
    if (!strcmp(how, "never")) {
        listen_at(where, 0);
        for (;;) __asm__ volatile("");
    }
    if (argc > 3) listen_at(argv[3], 0);
    refuses = !strcmp(how, "refuse");
    is_impatient = !strcmp(how, "impatient");
    if (refuses || is_impatient || !strcmp(how, "accept")) accept_for_ever((void*)(long)listen_at(where, 0));
    if (!strcmp(how, "thread")) {
        pthread_create(&thread, NULL, accept_for_ever, (void*)(long)listen_at(where, 0));
        pthread_join(thread, NULL);
    }
    if (!strcmp(how, "threads")) {
        const int s = listen_at(where, 0);
        for (;;) {
            pthread_create(&thread, NULL, serve_connection, (void*)(long)accept4(s, NULL, NULL, SOCK_CLOEXEC));
            pthread_detach(thread);
        }
    }
    const int s = listen_at(where, SOCK_NONBLOCK), set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | (!strcmp(how, "edge") ? EPOLLET : 0u)};
    epoll_ctl(set, EPOLL_CTL_ADD, s, &event);
    for (;;) {
        if (!strcmp(how, "poll")) {
            wait_for(s, POLLIN);
        } else if (!strcmp(how, "select")) {
            fd_set reading;
            FD_ZERO(&reading);
            FD_SET(s, &reading);
            select(s + 1, &reading, NULL, NULL, NULL);
        } else {
            epoll_wait(set, &event, 1, -1);
        }
        int fd;
        while ((fd = accept4(s, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
            // With a set of its own, so that the edges of a connection are tried, too.
            struct epoll_event edge = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
            const int own = epoll_create1(0);
            epoll_ctl(own, EPOLL_CTL_ADD, fd, &edge);
            for (edge.events = 0; !(edge.events & EPOLLIN);) epoll_wait(own, &edge, 1, -1);
            serve_connection((void*)(long)fd);
            close(own);
        }
    }
}
