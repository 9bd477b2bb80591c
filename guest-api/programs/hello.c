/* SPDX-License-Identifier: BSD-2-Clause
 * The smallest program that answers requests. */
#include "kvm_api.h"

static void on_get(const char* url, const char* arg) {
    (void)url;
    (void)arg;
    backend_response_str(200, "text/plain", "Hello, world!\n");
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        puts("Hello, world!");
        return 0;
    }
    set_backend_get(on_get);
    wait_for_requests();
}
