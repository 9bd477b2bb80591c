/* SPDX-License-Identifier: BSD-2-Clause
 * For gdb: "/break" calls sys_breakpoint(), "/break-again" many times, "/crash" crashes, "/slow" is answered in pieces of work. Each answer says what
 * `marker` is, how many requests this copy has seen, and whether the program was started to be debugged. */
#include "kvm_api.h"

static volatile int marker = 7, requests;
static int *volatile nowhere;

__attribute__((noinline)) void answer(const char *url)
{
    char text[100];
    if (strcmp(url, "/crash") == 0)
        *nowhere = 1;
    snprintf(text, sizeof text, "marker %d requests %d debug %d %d", marker, requests, IS_DEBUG(), sys_is_debug());
    backend_response_str(200, "text/plain", text);
}

static void on_get(const char *url, const char *arg)
{
    (void)arg;
    requests++;
    const int breaks = strcmp(url, "/break") == 0 ? 1 : strcmp(url, "/break-again") == 0 ? 1000 : 0;
    for (int i = 0; i < breaks; i++)
        sys_breakpoint();
    answer(url);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "crash") == 0)
        *nowhere = 1;
    set_backend_get(on_get);
    wait_for_requests();
}
