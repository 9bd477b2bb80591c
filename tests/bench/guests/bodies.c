/* SPDX-License-Identifier: BSD-2-Clause
 * Takes, gives and echoes bodies, in each of the ways there are; tests/bench/bodies measures how fast they go through.
 * The way is the first argument:
 *
 *   whole    callbacks; each body is in memory as a whole
 *   pieces   callbacks; bodies go through in pieces, and none is ever echoed
 *   server   an HTTP server
 *   filter   standard input and output; the second argument is the URL
 *
 * The URL says what is asked for: /take, which is answered with the size of the body, /give/SIZE, or /echo. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kvm_api.h"

static char type[] = "application/octet-stream";
static char buffer[128 << 10]; /* what cat reads at a time */
static char *large;            /* a body as a whole */
enum { largest = 65 << 20 };
static char number[32];

static size_t size_in(const char *url) { return strncmp(url, "/give/", 6) == 0 ? strtoul(url + 6, NULL, 10) : 0; }
static int is_echo(const char *url) { return strcmp(url, "/echo") == 0; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t print_size(size_t size) { return (size_t)snprintf(number, sizeof number, "%zu", size); }

/* ---- Callbacks */

static void answer(const void *body, size_t size) { backend_response(200, type, sizeof type - 1, body, size); }

static void on_get(const char *url, const char *arg)
{
    const size_t size = smaller(size_in(url), largest);
    (void)arg;
    memset(large, 'x', size);
    answer(large, size);
}

static void on_post(const char *url, const char *arg, const char *content_type, const uint8_t *data, size_t size)
{
    (void)arg;
    (void)content_type;
    if (is_echo(url))
        answer(data, size);
    answer(number, print_size(size));
}

static struct streaming_content more(void *arg, size_t most, size_t written, size_t length)
{
    const size_t size = smaller(smaller(most, largest), length - written);
    (void)arg;
    memset(large, 'x', size);
    return (struct streaming_content){large, (ssize_t)size};
}

static void on_get_in_pieces(const char *url, const char *arg)
{
    (void)arg;
    begin_streaming_response(200, type, sizeof type - 1, size_in(url), more, NULL);
}

static long on_piece(const char *url, const char *arg, const char *content_type, const uint8_t *data, size_t size,
                     size_t offset)
{
    (void)url;
    (void)arg;
    (void)content_type;
    (void)data;
    if (size == 0)
        answer(number, print_size(offset));
    return (long)size;
}

/* ---- Descriptors */

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t put = write(fd, data, size);
        if (put <= 0)
            return 0;
        data += put;
        size -= (size_t)put;
    }
    return 1;
}

static void give(int fd, size_t size)
{
    while (size > 0) {
        const size_t part = smaller(size, sizeof buffer);
        memset(buffer, 'x', part);
        if (!write_all(fd, buffer, part))
            return;
        size -= part;
    }
}

/* Takes at most `size` bytes, and says how many there were; they go to `to` unless that is negative. */
static size_t take(int from, size_t size, int to)
{
    size_t done = 0;
    ssize_t got;
    while (done < size && (got = read(from, buffer, smaller(size - done, sizeof buffer))) > 0) {
        if (to >= 0 && !write_all(to, buffer, (size_t)got))
            break;
        done += (size_t)got;
    }
    return done;
}

static void filter(const char *url)
{
    const int echoes = is_echo(url);
    const size_t wanted = size_in(url), taken = wanted > 0 ? 0 : take(0, SIZE_MAX, echoes ? 1 : -1);
    give(1, wanted);
    if (wanted == 0 && !echoes)
        write_all(1, number, print_size(taken));
}

/* The head of the next request, with a zero after it; 0 when there is none. The body, if any, is not read. */
static int read_head(int fd, char *head, size_t room)
{
    size_t have = 0;
    for (head[0] = '\0'; strstr(head, "\r\n\r\n") == NULL; head[have] = '\0') {
        ssize_t got = have < room - 1 ? recv(fd, head + have, room - 1 - have, MSG_PEEK) : 0;
        if (got <= 0)
            return 0;
        head[have + (size_t)got] = '\0';
        char *end = strstr(head, "\r\n\r\n");
        got = recv(fd, head + have, end != NULL ? (size_t)(end + 4 - head) - have : (size_t)got, 0);
        have += got > 0 ? (size_t)got : 0;
    }
    return 1;
}

static void begin_response(int fd, size_t size)
{
    char text[200];
    const int length = snprintf(text, sizeof text,
                                "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, size);
    write_all(fd, text, (size_t)length);
}

static void respond(int fd, const char *head)
{
    char url[256] = "";
    const char *field = strcasestr(head, "\r\nContent-Length:");
    const size_t length = field != NULL ? strtoul(field + 17, NULL, 10) : 0;
    sscanf(head, "%*s %255s", url);
    if (is_echo(url)) {
        begin_response(fd, length);
        take(fd, length, fd);
    } else if (strcmp(url, "/take") == 0) {
        const size_t digits = print_size(take(fd, length, -1));
        begin_response(fd, digits);
        write_all(fd, number, digits);
    } else {
        begin_response(fd, size_in(url));
        give(fd, size_in(url));
    }
}

static void serve(void)
{
    char head[8192];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8000)};
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 5) != 0)
        exit(1);
    for (;;) {
        const int fd = accept(listener, NULL, NULL);
        while (read_head(fd, head, sizeof head))
            respond(fd, head);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    if (strcmp(way, "server") == 0)
        serve();
    if (strcmp(way, "filter") == 0) {
        filter(argc > 2 ? argv[2] : "");
        return 0;
    }
    large = mmap(NULL, largest, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (large == MAP_FAILED)
        return 1;
    if (strcmp(way, "whole") == 0) {
        set_backend_get(on_get);
        set_backend_post(on_post);
    } else {
        set_backend_get(on_get_in_pieces);
        set_backend_stream_post(on_piece);
    }
    wait_for_requests();
}
