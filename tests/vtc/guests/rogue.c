/* SPDX-License-Identifier: BSD-2-Clause
 * Fails in the way its URL names; for any other URL it answers with how many requests it has seen. With the
 * argument "handler" it has an error handler, which itself fails the way the request's argument names. */
#include <unistd.h>

#include "kvm_api.h"

static volatile int seen, depth;
static int *volatile nowhere;
static char *volatile taken;

static int recurse(int level)
{
    volatile char frame[4096];
    frame[0] = (char)level;
    depth = level;
    return level < 0 ? 0 : recurse(level + 1) + frame[0];
}

static void fail(const char *how)
{
    static const struct ResponseHeader split = {"X-A: b\r\nX-Evil: c", 17}, zero = {"X-A: b\0c", 8},
                                       nameless = {"no colon", 8}, wild = {(const char *)0x10, 5},
                                       huge = {"X-A: b", (size_t)-1}, spaced = {"X A: b", 6};
    const struct ResponseHeader *header = NULL;
    struct BackendResponseExtra extra = {.num_headers = 1};

    if (strcmp(how, "/crash") == 0)
        *nowhere = 1;
    if (strcmp(how, "/loop") == 0)
        for (;;)
            seen = seen + 1;
    if (strcmp(how, "/memory") == 0)
        for (; (taken = malloc(1 << 20)) != NULL;)
            memset(taken, 1, 1 << 20);
    if (strcmp(how, "/stack") == 0)
        recurse(0);
    if (strcmp(how, "/exit") == 0)
        _exit(3);
    if (strcmp(how, "/wait") == 0)
        wait_for_requests();
    if (strcmp(how, "/abort") == 0)
        abort();
    if (strcmp(how, "/opcode") == 0)
        __asm__ volatile("ud2");
    if (strcmp(how, "/divide") == 0)
        __asm__ volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; mov $1, %%eax; div %%ecx" ::: "eax", "ecx", "edx");
    if (strcmp(how, "/privileged") == 0)
        __asm__ volatile("hlt");
    if (strcmp(how, "/status0") == 0)
        backend_response_str(0, "text/plain", "x");
    if (strcmp(how, "/status9999") == 0)
        backend_response_str(9999, "text/plain", "x");
    if (strcmp(how, "/status-1") == 0)
        backend_response_str(-1, "text/plain", "x");
    if (strcmp(how, "/status100") == 0)
        backend_response_str(100, "text/plain", "x");
    if (strcmp(how, "/body-null") == 0)
        backend_response(200, "text/plain", 10, NULL, 1);
    if (strcmp(how, "/body-wild") == 0)
        backend_response(200, "text/plain", 10, (void *)0xDEADBEEF000, 4096);
    if (strcmp(how, "/body-kernel") == 0)
        backend_response(200, "text/plain", 10, (void *)0xFFFFFFFFFFFFF000, 4096);
    if (strcmp(how, "/body-wrap") == 0)
        backend_response(200, "text/plain", 10, (const void *)&seen, (size_t)-4096);
    if (strcmp(how, "/body-negative") == 0)
        backend_response(200, "text/plain", 10, (const void *)&seen, (size_t)-1);
    if (strcmp(how, "/body-long") == 0)
        backend_response(200, "text/plain", 10, how, (size_t)1 << 46);
    if (strcmp(how, "/body-system") == 0)
        backend_response(200, "text/plain", 10, (void *)0x7FFFE01000, 4096);
    if (strcmp(how, "/type-wild") == 0)
        backend_response(200, (void *)8, 10, "x", 1);
    if (strcmp(how, "/type-negative") == 0)
        backend_response(200, "text/plain", (size_t)-1, "x", 1);
    if (strcmp(how, "/type-split") == 0)
        backend_response_str(200, "text/plain\r\nX-Evil: c", "x");
    if (strcmp(how, "/extra-wild") == 0)
        backend_response_extra(200, "text/plain", 10, "x", 1, (void *)(uintptr_t)-8);
    if (strcmp(how, "/headers-wild") == 0)
        header = (void *)0x7FFFFFFFF000;
    if (strcmp(how, "/headers-many") == 0) {
        extra.num_headers = 65535;
        header = &split;
    }
    if (strcmp(how, "/header-split") == 0)
        header = &split;
    if (strcmp(how, "/header-zero") == 0)
        header = &zero;
    if (strcmp(how, "/header-nameless") == 0)
        header = &nameless;
    if (strcmp(how, "/header-wild") == 0)
        header = &wild;
    if (strcmp(how, "/header-negative") == 0)
        header = &huge;
    if (strcmp(how, "/header-space") == 0)
        header = &spaced;
    if (header != NULL) {
        extra.headers = header;
        backend_response_extra(200, "text/plain", 10, "x", 1, &extra);
    }
}

static void on_get(const char *url, const char *arg)
{
    char text[64];
    (void)arg;
    seen = seen + 1;
    if (strcmp(url, "/silence") == 0)
        return;
    fail(url);
    snprintf(text, sizeof text, "request %d", seen);
    backend_response_str(200, "text/plain", text);
}

static void on_post(const char *url, const char *arg, const char *type, const uint8_t *data, size_t len)
{
    memset((void *)data, '!', len);
    (void)type;
    on_get(url, arg);
}

static void on_error(const char *url, const char *arg, const char *exception, const struct kvm_request *request)
{
    char text[1024];
    fail(arg);
    if (strcmp(arg, "silence") == 0)
        return;
    if (strcmp(arg, "empty") == 0) {
        http_append_str(BERESP, "X-Handler: empty");
        backend_response_str(200, "text/plain", "");
    }
    if (strcmp(arg, "gone") == 0)
        backend_response_str(410, "text/plain", "");
    snprintf(text, sizeof text, "handled %s seen=%d body=%.*s (%.15s)", url, seen, (int)request->content_len,
             request->content_len > 0 ? (const char *)request->content : "", exception);
    backend_response_str(203, "text/plain", text);
}

int main(int argc, char **argv)
{
    set_backend_get(on_get);
    set_backend_post(on_post);
    if (argc > 1 && strcmp(argv[1], "handler") == 0)
        set_on_error_request(on_error);
    wait_for_requests();
}
