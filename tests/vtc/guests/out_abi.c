/* SPDX-License-Identifier: BSD-2-Clause
 * A program as they were built before: calls are OUT instructions in user mode. No header of ours is used. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static long out_call(unsigned number, long a, long b, long c, long d, long e, long f)
{
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    long result = (long)number;
    __asm__ volatile("outl %%eax, $0"
                     : "+a"(result)
                     : "D"(a), "S"(b), "d"(c), "c"(d), "r"(fifth), "r"(sixth)
                     : "memory");
    return result;
}

static void on_get(const char *url, const char *arg)
{
    char text[256], method[16];
    long length = out_call(0x10023, (long)method, sizeof method, 0, 0, 0, 0);
    snprintf(text, sizeof text, "old %.*s %s %s", (int)length, method, url, arg);
    out_call(0x10010, 200, (long)"text/plain", 10, (long)text, (long)strlen(text), 0);
}

int main(void)
{
    out_call(0x10000, 1, (long)on_get, 0, 0, 0, 0);
    for (;;)
        out_call(0x10001, 0, 0, 0, 0, 0, 0);
}
