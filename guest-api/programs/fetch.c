/* SPDX-License-Identifier: BSD-2-Clause
 * Fetches its URL and delivers what came back: to_backend("fetch", "/page") asks Varnish itself for /page,
 * to_backend("fetch", "https://example.com/") another server that the program's allowed_hosts allow. The body of a POST
 * is posted there. `arg` may hold one header field for the request, "Accept-Language: da". A response that cannot be had
 * is a 502 that says why. */
#include <errno.h>
#include <strings.h>

#include "kvm_api.h"

static const char* reason(long error) {
    switch (-error) {
        case EACCES: return "this host is not allowed\n";
        case EHOSTUNREACH: return "there is no such host\n";
        case ECONNREFUSED: return "no connection\n";
        case ETIMEDOUT: return "no response in time\n";
        case EMSGSIZE: return "the response is too large\n";
        case ELOOP: return "it goes in circles\n";
        case EAGAIN: return "too many self-requests at a time\n";
        case ENOTCONN: return "self-requests are not allowed\n";
        case EINVAL: return "this is no URL, or no header field\n";
        default: return "no response\n";
    }
}

/* The field of that name, "Name:", in a status line and fields as text; its length is 0 when there is none. */
static struct ResponseHeader find_field(const char* text, const char* name) {
    struct ResponseHeader found = {NULL, 0};
    for (; text != NULL; text = strchr(text, '\n')) {
        text += *text == '\n';
        if (strncasecmp(text, name, strlen(name)) == 0) {
            found = (struct ResponseHeader){text, strcspn(text, "\r\n")};
        }
    }
    return found;
}

static void deliver(const char* url, const char* arg, struct curl_op* op) {
    struct curl_fields fields = {{NULL}, {0}};
    struct BackendResponseExtra extra = {0};
    struct ResponseHeader encoding;
    long error;
    if (arg[0] != '\0') {
        CURL_SETFIELD(fields, 0, arg);
    }
    error = sys_fetch(url, strlen(url), op, &fields, NULL);
    if (error != 0) {
        backend_response_str(502, "text/plain", reason(error));
    }
    encoding = find_field(op->headers, "Content-Encoding:"); /* without it clients could not read the body */
    extra.headers = &encoding;
    extra.num_headers = encoding.field_len > 0;
    backend_response_extra((int16_t)op->status, op->ctype, op->ctlen, op->content, op->content_length, &extra);
}

static void on_get(const char* url, const char* arg) {
    struct curl_op op = {0};
    deliver(url, arg, &op);
}

static void on_post(const char* url, const char* arg, const char* content_type, const uint8_t* data, size_t len) {
    struct curl_op op = {.post_buffer = data, .post_buflen = (uint32_t)len};
    op.ctlen = (uint32_t)strnlen(content_type, sizeof(op.ctype));
    memcpy(op.ctype, content_type, op.ctlen);
    deliver(url, arg, &op);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        puts("fetch works in Varnish only");
        return 1;
    }
    set_backend_get(on_get);
    set_backend_post(on_post);
    wait_for_requests();
}
