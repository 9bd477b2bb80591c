/* SPDX-License-Identifier: BSD-2-Clause
 * A client for what varnishtest's own cannot do: large bodies, and many connections at once.
 *
 *   http_load ADDRESS PORT fetch URL            one GET; prints "STATUS LENGTH SUM", the sum of the body's bytes
 *   http_load ADDRESS PORT load CONNECTIONS REQUESTS URL=STATUS[,STATUS]...[:BODY[|BODY]...]...
 *
 * load: every connection makes REQUESTS requests, one after the other, taking turns through the URLs; with until:FILE
 * instead of a number, until there is such a file, 50 a second at most. Each answer must have one of the statuses of its
 * URL (0: the connection may also just end) and, when it is 200, a body: one of those that are named, or any. Prints "N as
 * expected, N not" and the first surprises. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { max_urls = 32 };

static struct sockaddr_storage address;
static socklen_t address_length;
static const char *urls[max_urls], *expected[max_urls];
static const char *last_file;
static int url_count, requests;
static unsigned long good, bad;

struct answer {
    int status;
    size_t length;
    unsigned long sum;
    char body[256]; /* its begin */
};

struct connection {
    int fd;
    char buffer[65536];
    size_t begin, end;
};

static int fill(struct connection *c)
{
    if (c->begin == c->end)
        c->begin = c->end = 0;
    ssize_t got = read(c->fd, c->buffer + c->end, sizeof c->buffer - c->end);
    if (got <= 0)
        return 0;
    c->end += (size_t)got;
    return 1;
}

static int read_line(struct connection *c, char *line, size_t room)
{
    size_t length = 0;
    for (;;) {
        if (c->begin == c->end && !fill(c))
            return 0;
        char byte = c->buffer[c->begin++];
        if (byte == '\n')
            break;
        if (byte != '\r' && length + 1 < room)
            line[length++] = byte;
    }
    line[length] = '\0';
    return 1;
}

static int open_connection(struct connection *c)
{
    c->begin = c->end = 0;
    c->fd = socket(address.ss_family, SOCK_STREAM, 0);
    return c->fd >= 0 && connect(c->fd, (struct sockaddr *)&address, address_length) == 0;
}

/* Status 0: there was no whole answer. */
static struct answer request(struct connection *c, const char *url)
{
    struct answer answer = {0};
    char line[4096];
    int status = 0, chunked = 0, size = snprintf(line, sizeof line, "GET %s HTTP/1.1\r\nHost: load\r\n\r\n", url);
    long length = -1;

    if (write(c->fd, line, (size_t)size) != size || !read_line(c, line, sizeof line) ||
        sscanf(line, "HTTP/1.1 %d", &status) != 1)
        return answer;
    for (;;) {
        if (!read_line(c, line, sizeof line))
            return answer;
        if (line[0] == '\0')
            break;
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            length = atol(line + 15);
        if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0)
            chunked = 1;
    }
    do {
        if (chunked) {
            if (!read_line(c, line, sizeof line))
                return answer;
            length = strtol(line, NULL, 16);
        }
        for (long left = length; left > 0; left--) {
            if (c->begin == c->end && !fill(c))
                return answer;
            char byte = c->buffer[c->begin++];
            answer.sum += (unsigned char)byte;
            if (answer.length + 1 < sizeof answer.body)
                answer.body[answer.length] = byte;
            answer.length++;
        }
        if (chunked && !read_line(c, line, sizeof line))
            return answer;
    } while (chunked && length > 0);
    answer.status = status;
    return answer;
}

/* Is `word` one of those between the separators? */
static int is_one_of(const char *list, size_t size, char separator, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list, *end = list + size; at < end;) {
        const char *next = memchr(at, separator, (size_t)(end - at));
        if (next == NULL)
            next = end;
        if ((size_t)(next - at) == length && memcmp(at, word, length) == 0)
            return 1;
        at = next + 1;
    }
    return 0;
}

static int is_expected(const char *list, const struct answer *answer)
{
    char status[16];
    const size_t statuses = strcspn(list, ":");
    snprintf(status, sizeof status, "%d", answer->status);
    if (!is_one_of(list, statuses, ',', status))
        return 0;
    if (answer->status != 200)
        return 1;
    const char *bodies = list + statuses;
    return *bodies == ':' ? is_one_of(bodies + 1, strlen(bodies + 1), '|', answer->body) : answer->length > 0;
}

static void *work(void *argument)
{
    struct connection *c = malloc(sizeof *c);
    long first = (long)argument;
    int is_open = open_connection(c);
    for (int i = 0; last_file != NULL ? access(last_file, F_OK) != 0 : i < requests; i++) {
        int which = (int)((first + (unsigned)i) % url_count);
        struct answer answer = {0};
        if (is_open)
            answer = request(c, urls[which]);
        if (is_expected(expected[which], &answer)) {
            __atomic_fetch_add(&good, 1, __ATOMIC_RELAXED);
        } else if (__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED) < 10) {
            printf("%s: status %d, %zu bytes: %s\n", urls[which], answer.status, answer.length, answer.body);
        }
        if (answer.status == 0) {
            close(c->fd);
            is_open = open_connection(c);
        }
        if (last_file != NULL)
            usleep(20000);
    }
    close(c->fd);
    free(c);
    return NULL;
}

static int load(int argc, char **argv)
{
    int connections = atoi(argv[0]);
    requests = atoi(argv[1]);
    last_file = strncmp(argv[1], "until:", 6) == 0 ? argv[1] + 6 : NULL;
    for (int i = 2; i < argc && url_count < max_urls; i++) {
        char *statuses = strchr(argv[i], '=');
        if (statuses == NULL)
            return 2;
        *statuses = '\0';
        urls[url_count] = argv[i];
        expected[url_count++] = statuses + 1;
    }
    pthread_t *threads = calloc((size_t)connections, sizeof *threads);
    for (long i = 0; i < connections; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    printf("%lu as expected, %lu not\n", good, bad);
    return bad != 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    if (argc < 5)
        return 2;
    if (inet_pton(AF_INET, argv[1], &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((unsigned short)atoi(argv[2]));
        address_length = sizeof *v4;
    } else {
        inet_pton(AF_INET6, argv[1], &v6->sin6_addr);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((unsigned short)atoi(argv[2]));
        address_length = sizeof *v6;
    }
    if (strcmp(argv[3], "fetch") == 0) {
        struct connection *c = malloc(sizeof *c);
        struct answer answer = {0};
        if (open_connection(c))
            answer = request(c, argv[4]);
        printf("%d %zu %lu\n", answer.status, answer.length, answer.sum);
        close(c->fd);
        free(c);
        return answer.status == 0;
    }
    return argc > 6 ? load(argc - 4, argv + 4) : 2;
}
