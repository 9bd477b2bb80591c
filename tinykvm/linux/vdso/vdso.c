/* The shared object every guest finds at AT_SYSINFO_EHDR: the functions of Linux' vDSO, which read the clock page.
 * Position independent, without data, without relocations, without vector instructions. What it cannot answer becomes a
 * system call. */
#include "clock_page.h"

#define EXPORT __attribute__((visibility("default"), used))
#define ALIAS(name) __attribute__((visibility("default"), weak, alias(#name)))

struct time_spec {
    int64_t seconds, nanoseconds;
};
struct time_value {
    int64_t seconds, microseconds;
};
struct time_zone {
    int32_t minutes_west, dst_time;
};

enum {
    number_gettimeofday = 96,
    number_time = 201,
    number_clock_gettime = 228,
    number_clock_getres = 229,
};

enum {
    clock_realtime = 0,
    clock_monotonic = 1,
    clock_realtime_coarse = 5,
    clock_monotonic_coarse = 6,
    clock_boottime = 7,
    clock_tai = 11,
};

static inline long system_call(long number, long first, long second) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(first), "S"(second)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

/* Reads the time-stamp counter. LFENCE keeps it from being read before earlier instructions are done. */
static inline uint64_t ticks(void) {
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* Returns 1 and the time in nanoseconds, or 0 when a system call is needed. */
static inline int read_clock(long clock, uint64_t* nanoseconds) {
    const volatile struct tinykvm_clock_page* page =
        (const volatile struct tinykvm_clock_page*)TINYKVM_CLOCK_PAGE_ADDRESS;
    /* A writer holds the page for some ten nanoseconds. If it died doing so, we must not wait for ever. */
    for (int attempt = 0; attempt < 1000; attempt++) {
        const uint32_t sequence = page->sequence;
        if (sequence & 1) {
            __asm__ volatile("pause");
            continue;
        }
        __asm__ volatile("" ::: "memory");
        if (page->mode != tinykvm_clock_tsc) return 0;
        const uint64_t now = ticks();
        const uint64_t base = page->tsc;
        uint64_t value = page->monotonic;
        const uint64_t multiplier = page->multiplier;
        if (clock == clock_realtime || clock == clock_realtime_coarse)
            value += (uint64_t)page->realtime_offset;
        else if (clock == clock_boottime)
            value += (uint64_t)page->boottime_offset;
        else if (clock == clock_tai)
            value += (uint64_t)page->tai_offset;
        __asm__ volatile("" ::: "memory");
        if (page->sequence != sequence) continue;
        /* Another processor's counter may be a few ticks behind the one that wrote the page. */
        if ((int64_t)(now - base) > 0)
            value += (uint64_t)((unsigned __int128)(now - base) * multiplier >> 32);
        *nanoseconds = value;
        return 1;
    }
    return 0;
}

static inline int is_known(long clock) {
    return clock == clock_realtime || clock == clock_monotonic || clock == clock_realtime_coarse ||
           clock == clock_monotonic_coarse || clock == clock_boottime || clock == clock_tai;
}

EXPORT int __vdso_clock_gettime(int clock, struct time_spec* time) {
    uint64_t now;
    if (!is_known(clock) || !read_clock(clock, &now))
        return (int)system_call(number_clock_gettime, clock, (long)time);
    time->seconds = (int64_t)(now / 1000000000);
    time->nanoseconds = (int64_t)(now % 1000000000);
    return 0;
}

EXPORT int __vdso_gettimeofday(struct time_value* time, struct time_zone* zone) {
    uint64_t now;
    if (time) {
        if (!read_clock(clock_realtime, &now))
            return (int)system_call(number_gettimeofday, (long)time, (long)zone);
        time->seconds = (int64_t)(now / 1000000000);
        time->microseconds = (int64_t)(now % 1000000000 / 1000);
    }
    if (zone) {
        zone->minutes_west = 0;
        zone->dst_time = 0;
    }
    return 0;
}

EXPORT int64_t __vdso_time(int64_t* where) {
    uint64_t now;
    if (!read_clock(clock_realtime, &now)) return system_call(number_time, (long)where, 0);
    const int64_t seconds = (int64_t)(now / 1000000000);
    if (where) *where = seconds;
    return seconds;
}

EXPORT int __vdso_clock_getres(int clock, struct time_spec* resolution) {
    return (int)system_call(number_clock_getres, clock, (long)resolution);
}

/* System calls are made on the first processor, and so is this one. */
EXPORT int __vdso_getcpu(unsigned* cpu, unsigned* node, void* unused) {
    (void)unused;
    if (cpu) *cpu = 0;
    if (node) *node = 0;
    return 0;
}

int clock_gettime(int, struct time_spec*) ALIAS(__vdso_clock_gettime);
int gettimeofday(struct time_value*, struct time_zone*) ALIAS(__vdso_gettimeofday);
int64_t time(int64_t*) ALIAS(__vdso_time);
int clock_getres(int, struct time_spec*) ALIAS(__vdso_clock_getres);
int getcpu(unsigned*, unsigned*, void*) ALIAS(__vdso_getcpu);
