/* SPDX-License-Identifier: BSD-2-Clause
 * Counts requests, in memory of every kind: ephemeral programs always say 1. "/crash" crashes afterwards. */
#include "kvm_api.h"

static int data = 1000, zero;
static int *heap;
static __thread int local;

static void on_get(const char *url, const char *arg)
{
    char text[128];
    (void)arg;
    data++;
    zero++;
    local++;
    ++*heap;
    if (strcmp(url, "/crash") == 0)
        __builtin_trap();
    snprintf(text, sizeof text, "%d %d %d %d", data - 1000, zero, *heap, local);
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    heap = calloc(1, sizeof *heap);
    set_backend_get(on_get);
    wait_for_requests();
}
