/* SPDX-License-Identifier: BSD-2-Clause
 * Counts the primes below the number that its URL is (/1000), on all CPUs of its VM (the setting `smp`). */
#include "kvm_api.h"

enum { most_cpus = 8, most = 10000000 };

static unsigned long below;
static long cpus;
static unsigned long counts[most_cpus];

static int is_prime(unsigned long number) {
    unsigned long divisor;
    for (divisor = 3; divisor * divisor <= number; divisor += 2) {
        if (number % divisor == 0) {
            return 0;
        }
    }
    return 1;
}

/* Every so many of the odd numbers are one CPU's. */
static void count_some(void* argument) {
    const long cpu = vcpuid();
    unsigned long number, count = 0;
    (void)argument;
    for (number = 3 + 2 * (unsigned long)cpu; number < below; number += 2 * (unsigned long)cpus) {
        count += (unsigned long)is_prime(number);
    }
    counts[cpu] = count;
}

static void on_get(const char* url, const char* arg) {
    char text[64];
    unsigned long all;
    long cpu;
    (void)arg;
    below = strtoul(url + 1, NULL, 10); /* after the slash */
    if (below > most) {
        backend_response_str(400, "text/plain", "That is too much.\n");
    }
    cpus = multiprocess_cpus();
    multiprocess((size_t)cpus, count_some, NULL); /* CPUs 1, 2, ... */
    count_some(NULL);                             /* CPU 0 */
    multiprocess_wait();

    all = below > 2; /* 2 itself */
    for (cpu = 0; cpu < cpus; ++cpu) {
        all += counts[cpu];
    }
    snprintf(text, sizeof text, "%lu primes below %lu, found by %ld CPUs\n", all, below, cpus);
    backend_response_str(200, "text/plain", text);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        puts("primes is for Varnish: it counts primes on several CPUs");
        return 0;
    }
    set_backend_get(on_get);
    wait_for_requests();
}
