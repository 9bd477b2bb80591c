/* SPDX-License-Identifier: BSD-2-Clause
 * Counts the requests it has seen, in ordinary memory: only those before it was frozen stay.
 *   warm get|post|request|paused
 * Warm-up requests end as their URL says: /crash, /silent, /exit, /loop, /register, /wait, or with a response. /grow
 * keeps a MiB with each of them. */
#include <unistd.h>

#include "kvm_api.h"

static int seen, warm, waiting_flags;
static double sum = 1.0;
static char *cache;

static void respond(const char *url, const char *method, const struct kvm_request *request)
{
    char text[256];
    size_t length = 0;
    const char *header = request ? kvm_request_header_value(request, "X-Key", &length) : NULL;
    seen++;
    if (request && IS_WARMUP_REQUEST(request)) {
        warm++;
        if (cache == NULL)
            cache = strdup("prepared");
        vlogf("warming %s", url);
    }
    sum *= 1.5;
    if (strcmp(url, "/grow") == 0)
        memset(malloc(1 << 20), 1, 1 << 20);
    if (strcmp(url, "/crash") == 0)
        __builtin_trap();
    if (strcmp(url, "/silent") == 0)
        return;
    if (strcmp(url, "/exit") == 0)
        _exit(3);
    while (strcmp(url, "/loop") == 0) {
    }
    if (strcmp(url, "/register") == 0)
        set_backend_get(NULL);
    if (strcmp(url, "/wait") == 0)
        wait_for_requests();
    http_set_str(BERESP, "X-Seen: yes");
    set_cacheable(true, 100, 0, 0);
    snprintf(text, sizeof text, "seen=%d warm=%d %s %s key=%.*s %s", seen, warm, method, url, (int)length,
             header ? header : "", cache ? cache : "nothing");
    backend_response_str(strcmp(url, "/404") == 0 ? 404 : 200, "text/plain", text);
}

static void on_get(const char *url, const char *arg)
{
    (void)arg;
    respond(url, "get", NULL);
}

static void on_post(const char *url, const char *arg, const char *type, const uint8_t *data, size_t size)
{
    (void)arg;
    (void)type;
    (void)data;
    respond(url, size ? "post" : "post without body", NULL);
}

static void on_request(const struct kvm_request *request) { respond(request->url, request->method, request); }

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "get";
    if (strcmp(mode, "paused") == 0) {
        for (;;) {
            struct kvm_request request;
            wait_for_requests_paused(&request);
            waiting_flags = request.info_flags;
            respond(request.url, request.method, &request);
        }
    }
    if (strcmp(mode, "get") == 0)
        set_backend_get(on_get);
    if (strcmp(mode, "post") == 0)
        set_backend_post(on_post);
    if (strcmp(mode, "request") == 0)
        set_backend_request(on_request);
    wait_for_requests();
}
