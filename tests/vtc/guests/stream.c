/* SPDX-License-Identifier: BSD-2-Clause
 * Bodies in pieces, both ways. POSTed ones are only added up; with "handler" as an argument a second chance says how much
 * of the body it was given. A GET makes a body of letters as its argument, HOW:SIZE, says, or HOW,unknown:SIZE, which does
 * not say the size beforehand. With "post" there is a callback for the end of POSTed bodies, too, and with the request's
 * argument take:N the other one takes N bytes at a time, or returns N when that is no number of bytes. With "paused" the program has a loop of its own. */
#include "kvm_api.h"

static size_t total, pieces;
static uint64_t sum;
static bool answers; /* on_post does */

static long on_stream_post(const char *url, const char *arg, const char *type, const uint8_t *data, size_t len,
                           size_t offset)
{
    char text[200];
    (void)type;
    if (offset != total)
        backend_response_str(500, "text/plain", "a piece is missing");
    if (answers && strncmp(arg, "take:", 5) == 0) {
        long most = strtol(arg + 5, NULL, 10);
        if (most <= 0 || (size_t)most > 1000000)
            return most;
        len = len > (size_t)most ? (size_t)most : len;
    }
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + data[i];
    total += len;
    pieces += len > 0;
    if (strcmp(url, "/crash") == 0 && offset > 0)
        *(volatile int *)0 = 1;
    if (strcmp(url, "/silent") == 0)
        return 0;
    if (len == 0 || strcmp(url, "/early") == 0) {
        snprintf(text, sizeof text, "%zu bytes in %s, sum %016lx", total, pieces > 1 ? "pieces" : "one piece", sum);
        backend_response_str(200, "text/plain", text);
    }
    return answers ? (long)len : -1;
}

/* With "post": the pieces were taken before. */
static void on_post(const char *url, const char *arg, const char *type, const uint8_t *data, size_t len)
{
    char text[200];
    snprintf(text, sizeof text, "%s %s %s %s: %zu of %zu bytes in %s, sum %016lx", url, arg, type,
             data == NULL ? "without data" : "with data", total, len, pieces > 1 ? "pieces" : "one piece", sum);
    backend_response_str(200, "text/plain", text);
}

static void on_error(const char *url, const char *arg, const char *exception, const struct kvm_request *request)
{
    char text[200];
    (void)url;
    (void)arg;
    (void)exception;
    snprintf(text, sizeof text, "second chance with %zu bytes", request->content_len);
    backend_response_str(200, "text/plain", text);
}

enum how { KNOWN, UNKNOWN, SHORT, LONG, UNREADABLE, CRASH, LOOP, ANSWER, NO_HOW };
static const char *const names[] = {"known", "unknown", "short", "long", "unreadable", "crash", "loop", "answer"};

struct body {
    enum how how;
    bool is_unknown;
    size_t size;
    char letters[3 * 26 * 1024]; /* on the stack of the caller, which stays as it is */
};

static size_t most; /* that it was asked for */

static struct streaming_content more(void *arg, size_t max, size_t written, size_t length)
{
    struct body *body = arg;
    size_t at = written % 26, size = body->size - written;
    volatile char scratch[4096]; /* must not land on the caller's stack */
    memset((char *)scratch, 0xEE, sizeof scratch);
    if (body->is_unknown ? length != STREAMING_UNKNOWN_LENGTH : length != body->size)
        return (struct streaming_content){NULL, 1};
    if (written > 0 && body->how == SHORT)
        size = 0;
    if (written > 0 && body->how == LONG)
        return (struct streaming_content){body->letters, max + 1};
    if (written > 0 && body->how == UNREADABLE)
        return (struct streaming_content){(void *)0x10000, 1};
    if (written > 0 && body->how == CRASH)
        *(volatile int *)0 = 1;
    while (written > 0 && body->how == LOOP)
        continue;
    if (written > 0 && body->how == ANSWER)
        backend_response_str(200, "text/plain", "a second answer");
    if (size > max)
        size = max;
    if (size > sizeof body->letters - at)
        size = sizeof body->letters - at;
    vlogf("piece at %zu", written);
    if (max > most) {
        most = max;
        vlogf("asked for %zu", max);
    }
    return (struct streaming_content){body->letters + at, size};
}

static void answer(const char *arg)
{
    struct body body;
    body.how = KNOWN;
    while (body.how != NO_HOW && strncmp(arg, names[body.how], strlen(names[body.how])) != 0)
        body.how++;
    body.is_unknown = strstr(arg, "unknown") != NULL;
    body.size = strchr(arg, ':') ? strtoul(strchr(arg, ':') + 1, NULL, 10) : 0;
    for (size_t i = 0; i < sizeof body.letters; i++)
        body.letters[i] = (char)('a' + i % 26);
    http_append_str(BERESP, "X-How: streamed");
    begin_streaming_response(200, "text/letters", 12, body.is_unknown ? STREAMING_UNKNOWN_LENGTH : body.size, more,
                             &body);
    /* Only programs with a loop of their own, that are not ephemeral, come here. */
    for (size_t i = 0; i < sizeof body.letters; i++)
        if (body.letters[i] != (char)('a' + i % 26))
            *(volatile int *)0 = 2;
}

static void on_get(const char *url, const char *arg)
{
    (void)url;
    answer(arg);
}

int main(int argc, char **argv)
{
    struct kvm_request request;
    set_backend_get(on_get);
    set_backend_stream_post(on_stream_post);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "handler") == 0)
            set_on_error_request(on_error);
        if (strcmp(argv[i], "post") == 0) {
            answers = true;
            set_backend_post(on_post);
        }
        while (strcmp(argv[i], "paused") == 0) {
            wait_for_requests_paused(&request);
            answer(request.arg);
        }
    }
    wait_for_requests();
}
