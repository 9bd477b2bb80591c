/* SPDX-License-Identifier: BSD-2-Clause
 * A loop of its own: waits paused, answers, and waits again. */
#include "kvm_api.h"

static void on_error(const char *url, const char *arg, const char *exception)
{
    (void)url;
    (void)arg;
    (void)exception;
    backend_response_str(203, "text/plain", "handled");
}

int main(void)
{
    struct kvm_request request;
    char text[256];
    set_on_error(on_error);
    for (int round = 1;; round++) {
        wait_for_requests_paused(&request);
        if (strcmp(request.url, "/crash") == 0)
            __builtin_trap();
        if (strcmp(request.url, "/silence") == 0)
            continue;
        snprintf(text, sizeof text, "round %d %s %s %zu", round, request.method, request.url, request.content_len);
        backend_response_str(200, "text/plain", text);
    }
}
