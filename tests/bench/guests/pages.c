/* SPDX-License-Identifier: BSD-2-Clause
 * Memory with data in it, of which a request writes to as many pages as it is told: what resetting a page costs. */
#include "kvm_api.h"

enum { page = 4096, most_pages = 10000 };
static char memory[most_pages * page] __attribute__((aligned(4096)));

/* The URL's role is taken by the number of pages. */
static void on_get(const char *pages, const char *unused)
{
    (void)unused;
    for (unsigned long i = 0; i < (unsigned long)pages && i < most_pages; i++)
        ((volatile char *)memory)[i * page]++;
    backend_response_str(200, "text/plain", "written");
}

int main(void)
{
    memset(memory, 0xA5, sizeof memory);
    set_backend_get(on_get);
    wait_for_requests();
}
