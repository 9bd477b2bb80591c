/* SPDX-License-Identifier: BSD-2-Clause
 * Gives its further CPUs something to do that the URL names; any other URL answers what they have computed, and how
 * many requests this VM has seen. */
#include <unistd.h>

#include "kvm_api.h"

static unsigned long numbers[1 << 16], sums[8];
static long cpus;
static int seen;
static volatile int begun;
static int *volatile nowhere;
static char *volatile taken;

static void add(int cpu, void *array, size_t size)
{
    const unsigned long *all = array;
    size_t i;
    sums[cpu] = 0;
    for (i = (size_t)cpu; i < sizeof numbers / size; i += (size_t)cpus)
        sums[cpu] += all[i];
}

static void misbehave(void *argument)
{
    const char *how = argument;
    size_t i;
    begun = 1;
    if (strcmp(how, "/crash") == 0)
        *nowhere = 1;
    if (strcmp(how, "/call") == 0)
        sys_log("text", 4);
    if (strcmp(how, "/system") == 0)
        getppid();
    if (strcmp(how, "/memory") == 0)
        for (i = 0; i < (size_t)64 << 20; i += 4096)
            taken[i] = 1;
    if (strcmp(how, "/loop") == 0 || strcmp(how, "/unawaited") == 0)
        for (;;)
            numbers[vcpuid()]++;
}

/* On each of them, on stacks of their own. */
static unsigned long cloned(void)
{
    static char stacks[8][65536];
    unsigned long all = 0;
    const long cpu = multiprocess_clone((size_t)cpus, stacks, sizeof stacks[0]);
    long i;
    sums[cpu] = 100 + (unsigned long)cpu;
    if (cpu != 0)
        multiprocess_exit();
    multiprocess_wait();
    for (i = 0; i < cpus; ++i)
        all += sums[i];
    return all;
}

static void on_get(const char *url, const char *arg)
{
    char text[128];
    unsigned long sum = 0;
    long i, first, again;
    (void)arg;
    ++seen;
    if (strlen(url) > 3) {
        multiprocess((size_t)cpus, misbehave, (void *)url);
        while (strcmp(url, "/unawaited") == 0 && !begun)
            ;
        if (strcmp(url, "/unawaited") != 0)
            multiprocess_wait();
        backend_response_str(200, "text/plain", "unharmed");
    }
    if (cpus == 1) {
        snprintf(text, sizeof text, "1 CPU, %ld %ld %ld", multiprocess(2, misbehave, (void *)url),
                 multiprocess_clone(2, numbers, 65536), multiprocess_wait());
        backend_response_str(200, "text/plain", text);
    }
    first = multiprocess_array((size_t)cpus, add, numbers, sizeof numbers[0]);
    add(0, numbers, sizeof numbers[0]);
    multiprocess_wait();
    for (i = 0; i < cpus; ++i)
        sum += sums[i];
    again = multiprocess((size_t)cpus + 1, misbehave, (void *)url);
    snprintf(text, sizeof text, "%ld CPUs, sum %lu, clones %lu, request %d, %ld %ld", cpus, sum, cloned(), seen, first,
             again);
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    size_t i;
    if (IS_LINUX_MAIN())
        return 0;
    for (i = 0; i < sizeof numbers / sizeof numbers[0]; ++i)
        numbers[i] = i;
    cpus = multiprocess_cpus();
    taken = malloc((size_t)64 << 20);
    set_backend_get(on_get);
    wait_for_requests();
}
