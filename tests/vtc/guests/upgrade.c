// A server whose connections become ones of a protocol of lines, after an answer with the status 101. What it answers is
// the path of the request; in the protocol each line is a command.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int requests, lines;  // since the server started
static char buffer[70000];
static size_t have;

static int send_all(int fd, const char* data, size_t size) {
    while (size > 0) {
        const ssize_t put = send(fd, data, size, MSG_NOSIGNAL);
        if (put <= 0) return 0;
        data += put;
        size -= (size_t)put;
    }
    return 1;
}

static int say(int fd, const char* text) { return send_all(fd, text, strlen(text)); }

// More input; 0 at its end.
static int fill(int fd) {
    const ssize_t got = have < sizeof buffer - 1 ? recv(fd, buffer + have, sizeof buffer - 1 - have, 0) : 0;
    if (got > 0) have += (size_t)got;
    buffer[have] = '\0';
    return got > 0;
}

// The next line without its end; 0 when there is none any more.
static int next_line(int fd, char* line, size_t room) {
    char* end;
    while ((end = memchr(buffer, '\n', have)) == NULL)
        if (!fill(fd)) return 0;
    const size_t size = (size_t)(end - buffer);
    snprintf(line, room, "%.*s", (int)size, buffer);
    have -= size + 1;
    memmove(buffer, end + 1, have);
    return 1;
}

// So many KiB, as fast as they go.
static void flood(int fd, long kibibytes) {
    static char piece[1024];
    memset(piece, 'x', sizeof piece);
    while (kibibytes-- > 0 && send_all(fd, piece, sizeof piece)) {
    }
}

// A line every few milliseconds, with nothing from the client: by a wait for the client that ends, or by a sleep.
static void tick(int fd, int count, int sleeps) {
    for (int i = 1; i <= count; i++) {
        struct pollfd entry = {fd, POLLIN, 0};
        const struct timespec pause = {0, 20000000};
        if (sleeps)
            nanosleep(&pause, NULL);
        else
            poll(&entry, 1, 20);
        char text[32];
        snprintf(text, sizeof text, "tick %d\n", i);
        if (!say(fd, text)) return;
    }
}

// Takes what comes until the client ends its side, and says how much that was.
static void drink(int fd) {
    unsigned long size = have;
    have = 0;
    for (; fill(fd); have = 0) size += have;
    char text[64];
    snprintf(text, sizeof text, "drank %lu\n", size);
    say(fd, text);
}

// False: the connection is to end.
static int obey(int fd, const char* line) {
    char text[70100];
    lines++;
    if (strcmp(line, "bye") == 0) return say(fd, "bye\n") && 0;
    if (strcmp(line, "crash") == 0) raise(SIGSEGV);
    if (strcmp(line, "exit") == 0) _exit(0);
    if (strcmp(line, "spin") == 0)
        for (volatile int i = 0;; i++) {
        }
    if (strcmp(line, "pause") == 0) return pause(), 1;
    if (strcmp(line, "shutdown") == 0) return shutdown(fd, SHUT_WR), drink(fd), 0;
    if (strcmp(line, "drink") == 0) return drink(fd), 0;
    if (strncmp(line, "flood ", 6) == 0) return flood(fd, atol(line + 6)), 1;
    if (strncmp(line, "tick ", 5) == 0) return tick(fd, atoi(line + 5), 0), 1;
    if (strncmp(line, "sleep ", 6) == 0) return tick(fd, atoi(line + 6), 1), 1;
    snprintf(text, sizeof text, "%d %d %s\n", requests, lines, line);
    return say(fd, text);
}

static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: lines\r\nConnection: Upgrade\r\nX-Is: here\r\n\r\n";

// One request, and what it leads to. False: the connection is to end.
static int serve(int fd) {
    char path[2048] = "", line[65536];
    while (strstr(buffer, "\r\n\r\n") == NULL)
        if (!fill(fd)) return 0;
    sscanf(buffer, "GET %2047s", path);
    const int asked = strcasestr(buffer, "\r\nUpgrade: lines\r\n") && strcasestr(buffer, "\r\nConnection: Upgrade\r\n");
    char* end = strstr(buffer, "\r\n\r\n") + 4;
    have -= (size_t)(end - buffer);
    memmove(buffer, end, have);
    buffer[have] = '\0';
    requests++;
    if (strcmp(path, "/refuse") == 0 || !asked) {
        return say(fd, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: lines\r\nContent-Type: text/plain\r\n"
                       "Content-Length: 3\r\n\r\nno\n");
    }
    if (strcmp(path, "/endless") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\n\r\n");
        flood(fd, 1000);
        return 0;
    }
    if (strcmp(path, "/garbage") == 0) {
        say(fd, "This is no HTTP\r\n\r\n");
        return 0;
    }
    if (strcmp(path, "/zero") == 0) {
        say(fd, "HTTP/1.1 000 None\r\n\r\n");
        return 0;
    }
    if (strcmp(path, "/close") == 0) return 0;
    if (strcmp(path, "/crash") == 0) raise(SIGSEGV);
    if (strcmp(path, "/early") == 0)
        say(fd, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    say(fd, switching);
    if (strcmp(path, "/gone") == 0) return 0;
    if (strcmp(path, "/greet") == 0) say(fd, "welcome\n");
    while (next_line(fd, line, sizeof line) && obey(fd, line)) {
    }
    return 0;
}

int main(void) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8000)};
    if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 5) != 0) return 1;
    for (;;) {
        const int fd = accept(listener, NULL, NULL);
        if (fd < 0) return 2;
        have = 0;
        buffer[0] = '\0';
        while (serve(fd)) {
        }
        close(fd);
    }
}
