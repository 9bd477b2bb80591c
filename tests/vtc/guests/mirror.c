/* SPDX-License-Identifier: BSD-2-Clause
 * Any request: describes it in response headers and gives its body back, or what the argument asks for:
 *   describe      method, url, content type, number of headers and body length as text
 *   make:N        a body of N bytes, the k-th being 'a' + k % 26
 *   bytes:N       the same with the low byte of k
 *   check         200 if the body is what make: makes, else 422
 *   status:N      an answer with status N and a short body
 *   nobody:N      an answer with status N and no body
 *   environment   the KVM_ variables
 *   getenv:NAME   one variable
 *   file:PATH     the working directory, and what is in a file
 *   headers:N:M   N response headers of M bytes
 *   pieces:N      the body streamed in pieces of N bytes, its size not said beforehand */
#include <unistd.h>

#include "kvm_api.h"

static char text[65536];

static void make(size_t size)
{
    char *body = malloc(size + 1);
    for (size_t k = 0; k < size; k++)
        body[k] = (char)('a' + k % 26);
    backend_response(200, "text/plain", 10, body, size);
}

static void bytes(size_t size)
{
    char *body = malloc(size + 1);
    for (size_t k = 0; k < size; k++)
        body[k] = (char)k;
    backend_response(200, "application/octet-stream", 24, body, size);
}

static void show_file(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t size = strlen(getcwd(text, sizeof text / 2));
    text[size++] = ' ';
    size += file != NULL ? fread(text + size, 1, sizeof text / 2, file) : 0;
    backend_response(200, "text/plain", 10, text, size);
}

static void headers(const char *arg)
{
    static struct ResponseHeader all[64];
    char *end;
    unsigned long count = strtoul(arg, &end, 10), size = strtoul(end + 1, NULL, 10);
    struct BackendResponseExtra extra = {.headers = all, .num_headers = (uint16_t)count};
    for (unsigned long i = 0; i < count && i < 64; i++) {
        char *line = malloc(size + 1);
        memset(line, 'x', size + 1);
        memcpy(line, "X-Many: ", 8);
        all[i] = (struct ResponseHeader){line, size};
    }
    backend_response_extra(200, "text/plain", 10, "many", 4, &extra);
}

static void check(const struct kvm_request *request)
{
    for (size_t k = 0; k < request->content_len; k++)
        if (request->content[k] != 'a' + k % 26) {
            snprintf(text, sizeof text, "byte %zu is wrong", k);
            backend_response_str(422, "text/plain", text);
        }
    snprintf(text, sizeof text, "%zu bytes", request->content_len);
    backend_response_str(200, "text/plain", text);
}

struct body {
    const uint8_t *data;
    size_t size, piece;
};

static struct streaming_content next_piece(void *arg, size_t max, size_t written, size_t length)
{
    const struct body *body = arg;
    size_t size = body->size - written;
    (void)length;
    if (size > body->piece)
        size = body->piece;
    return (struct streaming_content){body->data + written, size < max ? size : max};
}

static void in_pieces(const struct kvm_request *request, size_t piece)
{
    struct body body = {request->content, request->content_len, piece};
    begin_streaming_response(200, request->content_type, request->content_type_len, STREAMING_UNKNOWN_LENGTH, next_piece,
                             &body);
}

static void on_request(const struct kvm_request *request)
{
    const char *arg = request->arg;
    if (strcmp(arg, "describe") == 0) {
        snprintf(text, sizeof text, "%s %s type=%s headers=%s length=%zu zero=%s", request->method, request->url,
                 request->content_type, request->num_headers > 0 ? "some" : "none", request->content_len,
                 request->content == NULL ? "null" : "set");
        backend_response_str(200, "text/plain", text);
    } else if (strncmp(arg, "make:", 5) == 0) {
        make(strtoul(arg + 5, NULL, 10));
    } else if (strncmp(arg, "bytes:", 6) == 0) {
        bytes(strtoul(arg + 6, NULL, 10));
    } else if (strcmp(arg, "check") == 0) {
        check(request);
    } else if (strncmp(arg, "status:", 7) == 0) {
        backend_response_str((int16_t)atoi(arg + 7), "text/plain", "body");
    } else if (strncmp(arg, "nobody:", 7) == 0) {
        backend_response((int16_t)atoi(arg + 7), "", 0, "", 0);
    } else if (strncmp(arg, "headers:", 8) == 0) {
        headers(arg + 8);
    } else if (strncmp(arg, "pieces:", 7) == 0) {
        in_pieces(request, strtoul(arg + 7, NULL, 10));
    } else if (strncmp(arg, "file:", 5) == 0) {
        show_file(arg + 5);
    } else if (strncmp(arg, "getenv:", 7) == 0) {
        const char *value = getenv(arg + 7);
        backend_response_str(200, "text/plain", value != NULL ? value : "not set");
    } else if (strcmp(arg, "environment") == 0) {
        snprintf(text, sizeof text, "%s %s %s [%s] %s %s", getenv("KVM_NAME"), getenv("KVM_GROUP"), getenv("KVM_TYPE"),
                 getenv("KVM_STATE"), getenv("KVM_DEBUG"), getenv("EXTRA") != NULL ? getenv("EXTRA") : "-");
        backend_response_str(200, "text/plain", text);
    }
    backend_response(200, request->content_type, request->content_type_len, request->content, request->content_len);
}

int main(void)
{
    set_backend_request(on_request);
    wait_for_requests();
}
