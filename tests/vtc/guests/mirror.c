/* SPDX-License-Identifier: BSD-2-Clause
 * Any request: describes it in response headers and gives its body back, or what the argument asks for:
 *   describe      method, url, content type, number of headers and body length as text
 *   make:N        a body of N bytes, the k-th being 'a' + k % 26
 *   check         200 if the body is what make: makes, else 422
 *   status:N      an answer with status N and a short body
 *   nobody:N      an answer with status N and no body
 *   environment   the KVM_ variables */
#include "kvm_api.h"

static char text[65536];

static void make(size_t size)
{
    char *body = malloc(size + 1);
    for (size_t k = 0; k < size; k++)
        body[k] = (char)('a' + k % 26);
    backend_response(200, "text/plain", 10, body, size);
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
    } else if (strcmp(arg, "check") == 0) {
        check(request);
    } else if (strncmp(arg, "status:", 7) == 0) {
        backend_response_str((int16_t)atoi(arg + 7), "text/plain", "body");
    } else if (strncmp(arg, "nobody:", 7) == 0) {
        backend_response((int16_t)atoi(arg + 7), "", 0, "", 0);
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
