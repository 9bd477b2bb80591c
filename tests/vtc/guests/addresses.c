/* SPDX-License-Identifier: BSD-2-Clause
 * Maps memory as the argument of a request says; the first word of main()'s arguments is done before it waits.
 *   any MIB              anywhere
 *   hint ADDRESS MIB     there if it is free
 *   fixed ADDRESS MIB    with MAP_FIXED
 * The answer is the address, and "error N" when it fails; first and last page are written.
 *   heap                 executes code in memory of brk
 *   touch ADDRESS        writes there */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm_api.h"

static void say(const char *format, unsigned long value)
{
    char text[64];
    snprintf(text, sizeof text, format, value);
    backend_response_str(200, "text/plain", text);
}

static void map(unsigned long address, unsigned long mebibytes, int flags)
{
    const size_t size = mebibytes << 20;
    char *p = mmap((void *)address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED)
        say("error %lu", (unsigned long)errno);
    p[0] = p[size - 1] = 1;
    say("0x%lx", (unsigned long)p);
}

static void on_get(const char *url, const char *arg)
{
    unsigned long address, mebibytes;
    (void)url;
    if (sscanf(arg, "any %lu", &mebibytes) == 1)
        map(0, mebibytes, 0);
    if (sscanf(arg, "hint %lx %lu", &address, &mebibytes) == 2)
        map(address, mebibytes, 0);
    if (sscanf(arg, "fixed %lx %lu", &address, &mebibytes) == 2)
        map(address, mebibytes, MAP_FIXED);
    if (sscanf(arg, "new %lx %lu", &address, &mebibytes) == 2)
        map(address, mebibytes, MAP_FIXED_NOREPLACE);
    if (sscanf(arg, "touch %lx", &address) == 1)
        *(volatile char *)address = 1;
    if (strcmp(arg, "heap") == 0) {
        unsigned char *code = sbrk(8192);
        memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* return 42 */
        say("%lu", (unsigned long)((int (*)(void))code)());
    }
    say("unknown", 0);
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
