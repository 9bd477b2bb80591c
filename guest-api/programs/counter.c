/* SPDX-License-Identifier: BSD-2-Clause
 * Counts requests in ordinary memory. Every request gets the program as it was when it began to wait, so it is always
 * the first: the answer is 1. With "ephemeral": false in the configuration memory is kept, and each VM counts its own. */
#include "kvm_api.h"

static unsigned long counter;

static void on_get(const char* url, const char* arg) {
    char text[32];
    (void)url;
    (void)arg;
    snprintf(text, sizeof text, "%lu\n", ++counter);
    backend_response_str(200, "text/plain", text);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        puts("counter is for Varnish: it counts the requests of a VM");
        return 0;
    }
    set_backend_get(on_get);
    wait_for_requests();
}
