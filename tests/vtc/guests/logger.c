/* SPDX-License-Identifier: BSD-2-Clause
 * Talks: to the log, to its standard output, and about its memory. */
#include "kvm_api.h"

static void on_get(const char *url, const char *arg)
{
    struct meminfo info;
    char text[256];
    (void)arg;
    if (strcmp(url, "/large") == 0)
        memset(malloc(4 << 20), 1, 4 << 20);
    printf("to standard output\nno end");
    fflush(stdout);
    long unknown = kvm_call(0x1ABCD, 0, 0, 0, 0, 0, 0);
    kvm_log("a line\nwith\x01 control characters");
    for (int i = 0; i < 100; i++)
        vlogf("line %d", i);
    long wild = sys_log((const char *)16, 5);
    long got = get_meminfo(&info);
    snprintf(text, sizeof text, "%ld %ld %ld max=%lu req=%lu current=%s debug=%d storage=%d", unknown, wild, got,
             (unsigned long)(info.max_memory >> 20), (unsigned long)(info.max_reqmem >> 20),
             info.reqmem_current > 0 && info.reqmem_current == info.reqmem_upper ? "sane" : "odd", sys_is_debug(),
             sys_is_storage());
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    kvm_log("logged while booting");
    set_backend_get(on_get);
    wait_for_requests();
}
