/* SPDX-License-Identifier: BSD-2-Clause
 * One callback for requests without a body and one for those with one, which gives the body back. With the argument
 * "stream" the second is a streaming one. */
#include "kvm_api.h"

static void on_get(const char *url, const char *arg)
{
    char method[32], text[1024];
    long length = http_method(method, sizeof method);
    snprintf(text, sizeof text, "get %.*s url=%s arg=%s", (int)length, method, url, arg);
    backend_response_str(200, "text/plain", text);
}

static void on_post(const char *url, const char *arg, const char *type, const uint8_t *data, size_t len)
{
    (void)url;
    (void)arg;
    backend_response(201, type, strlen(type), data, len);
}

static uint8_t body[8 << 20];

static long on_stream_post(const char *url, const char *arg, const char *type, const uint8_t *data, size_t len,
                           size_t offset)
{
    (void)url;
    (void)arg;
    if (offset + len > sizeof body)
        backend_response_str(500, "text/plain", "too much");
    memcpy(body + offset, data, len);
    if (len == 0)
        backend_response(201, type, strlen(type), body, offset);
    return 0; /* the host ignores it */
}

int main(int argc, char **argv)
{
    set_backend_get(on_get);
    if (argc > 1 && strcmp(argv[1], "stream") == 0)
        set_backend_stream_post(on_stream_post);
    else
        set_backend_post(on_post);
    wait_for_requests();
}
