/* SPDX-License-Identifier: BSD-2-Clause
 * Counts in shared memory.
 *
 *   /count        one more, and says how many that are
 *   /total        says how many there are
 *   /crash        one more, then crashes      /loop  one more, then runs out of time
 *   /body         a body in shared memory that other requests write to meanwhile, of 300,000 letters
 *   /allocate     what is left of SHM_ALLOC_...() */
#include "kvm_api.h"

enum { letters = 300000 };

static uint64_t *counter;
static char *body;

static void say(const char *format, unsigned long value)
{
    char text[64];
    snprintf(text, sizeof text, format, value);
    backend_response_str(200, "text/plain", text);
}

static void on_get(const char *url, const char *arg)
{
    (void)arg;
    if (strcmp(url, "/total") == 0)
        say("%lu", __atomic_load_n(counter, __ATOMIC_RELAXED));
    if (strcmp(url, "/allocate") == 0) {
        struct shared_memory_info area = shared_memory_area();
        uint64_t *second = SHM_ALLOC(*counter);
        if (second != counter + 1 || SHM_ALLOC_BYTES(2 << 20) != NULL || (uint64_t)second <= area.ptr)
            __builtin_trap();
        say("%lu", (unsigned long)(area.end - area.ptr));
    }
    unsigned long count = __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
    if (strcmp(url, "/crash") == 0)
        __builtin_trap();
    while (strcmp(url, "/loop") == 0) {
    }
    if (strcmp(url, "/body") == 0) {
        for (int i = 0; i < letters; i += 64)
            ((volatile char *)body)[i] = (char)('a' + count % 26);
        backend_response(200, "text/plain", 10, body, letters);
    }
    say("%lu", count);
}

int main(void)
{
    body = SHM_ALLOC_BYTES(letters);
    if (body == NULL) {
        fputs("there is no shared memory", stderr);
        return 1;
    }
    memset(body, 'A', letters);
    counter = SHM_ALLOC_TYPE(uint64_t);
    set_backend_get(on_get);
    wait_for_requests();
}
