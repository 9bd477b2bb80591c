/* SPDX-License-Identifier: BSD-2-Clause
 * Counts its requests, and decides whether the count is kept: in main() by its first argument, in a request by its URL,
 * "/keep" or "/forget". Says the count and what the decision returned. */
#include "kvm_api.h"

static int count;

static void answer(const char *url)
{
    char text[64];
    int result = 0;
    count++;
    if (strcmp(url, "/keep") == 0)
        result = sys_make_ephemeral(0);
    else if (strcmp(url, "/forget") == 0)
        result = sys_make_ephemeral(1);
    else if (strcmp(url, "/crash") == 0)
        __builtin_trap();
    snprintf(text, sizeof text, "%d %d", count, result);
    backend_response_str(200, "text/plain", text);
}

static void on_get(const char *url, const char *arg)
{
    (void)arg;
    answer(url);
}

int main(int argc, char **argv)
{
    struct kvm_request request;
    if (argc > 1 && strcmp(argv[1], "keep") == 0)
        sys_make_ephemeral(0);
    if (argc > 2 && strcmp(argv[2], "paused") == 0)
        for (;;) {
            wait_for_requests_paused(&request);
            answer(request.url);
            if (strcmp(request.url, "/late") == 0)
                sys_make_ephemeral(1);
        }
    set_backend_get(on_get);
    wait_for_requests();
}
