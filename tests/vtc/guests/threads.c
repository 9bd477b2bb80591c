/* SPDX-License-Identifier: BSD-2-Clause
 * Two threads that count primes at the same time, after they have waited for each other without a call, or do what the
 * URL says. With the argument "busy" one more computes all the time, also while the program is frozen; with "filter" it is
 * one, and a line of its input is the URL. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "kvm_api.h"

static _Atomic int arrived, turn;
static unsigned long counts[2];
static const char *how = "";
static volatile int *volatile nowhere;

static int is_prime(unsigned long number)
{
    unsigned long divisor;
    for (divisor = 2; divisor * divisor <= number; ++divisor)
        if (number % divisor == 0)
            return 0;
    return number > 1;
}

static void *count(void *argument)
{
    const long me = (long)argument;
    unsigned long number, found = 0;
    int i;
    atomic_fetch_add(&arrived, 1);
    for (i = 0; i < 10; ++i) {
        while (atomic_load(&turn) != 2 * i + me)
            ;
        atomic_store(&turn, 2 * i + (int)me + 1);
    }
    if (me == 1 && strcmp(how, "/crash") == 0)
        *nowhere = 1;
    while (strcmp(how, "/loop") == 0)
        ;
    for (number = (unsigned long)me; number < 100000; number += 2)
        found += (unsigned long)is_prime(number);
    counts[me] = found;
    return NULL;
}

static const char *answer(const char *url)
{
    static char text[128];
    pthread_t other;
    how = url;
    if (pthread_create(&other, NULL, count, (void *)1) != 0)
        return "no thread";
    count(NULL);
    pthread_join(other, NULL);
    snprintf(text, sizeof text, "%ld processors, %lu primes, threads %d", sysconf(_SC_NPROCESSORS_ONLN),
             counts[0] + counts[1], arrived);
    return text;
}

static void on_get(const char *url, const char *arg)
{
    (void)arg;
    backend_response_str(200, "text/plain", answer(url));
}

static volatile unsigned long steps;
static void *be_busy(void *argument)
{
    for (;;)
        ++steps;
    return argument;
}

/* Comes back when it has run beside this one for some time slices. */
static void begin_to_be_busy(void)
{
    pthread_t busy;
    unsigned long number, primes = 0;
    if (pthread_create(&busy, NULL, be_busy, NULL) != 0)
        exit(1);
    for (number = 0; number < 100000; ++number)
        primes += (unsigned long)is_prime(number);
    if (primes != 9592 || steps == 0)
        exit(2);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "filter") == 0) {
        char line[64];
        if (fgets(line, sizeof line, stdin) == NULL)
            return 1;
        fputs(answer(line), stdout);
        return 0;
    }
    if (strcmp(mode, "busy") == 0)
        begin_to_be_busy();
    set_backend_get(on_get);
    wait_for_requests();
    return 0;
}
