/* SPDX-License-Identifier: BSD-2-Clause
 * Counts requests. In ordinary memory, as every request gets the program as it was when it began to wait, it is always
 * the first: the answer is 1. With "ephemeral": false in the configuration memory is kept, and each VM counts its own.
 * With "storage": true all requests count in the storage; when the program is replaced by a live update, the next one
 * goes on from there. */
#include "kvm_api.h"

static unsigned long counter;

/* --- In the storage */

static void count_one(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    ++counter;
    storage_return(&counter, sizeof counter);
}

static void hand_over(void) { storage_return(&counter, sizeof counter); }

static void take_over(size_t length) {
    if (length == sizeof counter) {
        live_restore_data(&counter, sizeof counter);
    }
}

/* --- In requests */

static void on_get(const char* url, const char* arg) {
    char text[32];
    unsigned long count = 0;
    (void)url;
    (void)arg;
    const long result = storage_callv(count_one, 0, NULL, &count, sizeof count);
    if (result == -ENOSYS) { /* there is none */
        count = ++counter;
    } else if (result != sizeof count) {
        backend_response_str(503, "text/plain", "The storage does not answer.\n");
    }
    snprintf(text, sizeof text, "%lu\n", count);
    backend_response_str(200, "text/plain", text);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        puts("counter is for Varnish: it counts the requests of a VM, or of all in a storage");
        return 0;
    }
    if (IS_STORAGE()) {
        STORAGE_ALLOW(count_one);
        set_on_live_update(hand_over);
        set_on_live_restore(take_over);
        wait_for_requests();
    }
    set_backend_get(on_get);
    wait_for_requests();
}
