/* The clock page: how a guest tells the time without leaving. Written by the host (ClockPage in
 * ../guest_clock.hpp), read by the vDSO in every guest, at a fixed guest address. A page of zeros is valid: it means
 * "make a system call".
 *
 * Readers: take `sequence`; if odd, or different after reading, try again. Then
 *     monotonic clock = monotonic + ((rdtsc - tsc) * multiplier >> 32)
 * in nanoseconds, and the other clocks are that plus their offset. */
#ifndef TINYKVM_CLOCK_PAGE_H
#define TINYKVM_CLOCK_PAGE_H

#include <stdint.h>

enum { tinykvm_clock_absent = 0, tinykvm_clock_tsc = 1 };

struct tinykvm_clock_page {
    uint32_t sequence; /* odd while the host changes the page */
    uint32_t mode;     /* tinykvm_clock_... */
    uint64_t tsc;      /* at which the following holds */
    uint64_t monotonic;
    uint64_t multiplier; /* nanoseconds per tick, times 2^32 */
    int64_t realtime_offset, boottime_offset, tai_offset;
};

/* x86::clock_page in ../../x86/layout.hpp. */
#define TINYKVM_CLOCK_PAGE_ADDRESS 0x7FFFE00000

#endif
