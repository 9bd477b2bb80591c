/* SPDX-License-Identifier: BSD-2-Clause
 * Boots as its argument says: "exit", "crash", "loop", "memory", "nothing" (registers no callback), "early" (answers
 * before it waits), or well, perhaps after "slow" work or after it "waits" for the file that the next argument names. */
#include <unistd.h>

#include "kvm_api.h"

static volatile unsigned long work;
static char *volatile taken;

static void on_get(const char *url, const char *arg)
{
    (void)url;
    (void)arg;
    backend_response_str(200, "text/plain", "booted");
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "exit") == 0) {
        fputs("cannot find my data\n", stderr);
        return 7;
    }
    if (strcmp(how, "crash") == 0)
        __builtin_trap();
    if (strcmp(how, "loop") == 0)
        for (;;)
            work++;
    if (strcmp(how, "memory") == 0)
        for (; (taken = malloc(1 << 20)) != NULL;)
            memset(taken, 1, 1 << 20);
    if (strcmp(how, "early") == 0)
        backend_response_str(200, "text/plain", "too early");
    if (strcmp(how, "slow") == 0)
        for (unsigned long i = 0; i < 100000000; i++)
            work++;
    if (strcmp(how, "waits") == 0)
        for (fputs("waiting\n", stderr); access(argv[2], F_OK) != 0;)
            work++;
    if (strcmp(how, "nothing") != 0)
        set_backend_get(on_get);
    wait_for_requests();
}
