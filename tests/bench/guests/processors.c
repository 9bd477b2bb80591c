/* SPDX-License-Identifier: BSD-2-Clause
 * The same work for as many CPUs as it is told; none at all for their number negated. The results are volatile, so that
 * the compiler does not leave the work out. */
#include "kvm_api.h"

enum { rounds = 30000000, most_cpus = 8 };
static long cpus;
static volatile unsigned long results[most_cpus * 8];

static void work(void *argument)
{
    const long cpu = vcpuid();
    unsigned long value = (unsigned long)cpu + 1;
    (void)argument;
    for (long i = 0; i < rounds / cpus; i++)
        value = value * 6364136223846793005UL + 1442695040888963407UL;
    results[cpu * 8] = value;
}

static void nothing(void *argument)
{
    (void)argument;
}

/* The URL's role is taken by the number. */
static void on_get(const char *number, const char *unused)
{
    const long n = (long)number;
    multiprocess_t what = n > 0 ? work : nothing;
    (void)unused;
    cpus = n > 0 ? n : -n;
    if (cpus > 1)
        multiprocess((size_t)cpus, what, NULL);
    what(NULL);
    if (cpus > 1)
        multiprocess_wait();
    backend_response_str(200, "text/plain", "done");
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
