/* SPDX-License-Identifier: BSD-2-Clause
 * Counts requests over all VMs of the program. Its configuration needs "shared_memory": 1, where the counter is; memory
 * of its own would be as new in every request. */
#include "kvm_api.h"

static uint64_t* counter;

static void on_get(const char* url, const char* arg) {
    char text[32];
    (void)url;
    (void)arg;
    snprintf(text, sizeof text, "%lu\n", (unsigned long)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED));
    backend_response_str(200, "text/plain", text);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        puts("shared_counter is for Varnish: it counts the requests of all its VMs");
        return 0;
    }
    counter = SHM_ALLOC_TYPE(uint64_t);
    if (counter == NULL) {
        fputs("shared_counter needs \"shared_memory\": 1 in its configuration\n", stderr);
        return 1;
    }
    set_backend_get(on_get);
    wait_for_requests();
}
