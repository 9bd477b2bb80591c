/* SPDX-License-Identifier: BSD-2-Clause
 * An ordinary program that times pieces of work, run natively and in the sandbox alike.
 *
 *   kernels                     names the pieces of work this CPU can do, one on each line
 *   kernels NAME REPETITIONS    does one of them; prints the median time of a repetition in nanoseconds
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { small = 16 << 10, large = 64 << 20, cache_line = 64 };
static unsigned char near[small] __attribute__((aligned(64)));
static unsigned char far[large] __attribute__((aligned(4096))), copy[large] __attribute__((aligned(4096)));

/* Results go here, so that no work is optimised away. */
static volatile uint64_t sink;

/* FNV-1a, byte by byte: a chain of multiplications. */
static void scalar(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int round = 0; round < 500; round++)
        for (int i = 0; i < small; i++)
            hash = (hash ^ near[i]) * 0x100000001b3u;
    sink = hash;
}

/* Four chains of multiply and add over data in the first-level cache, in vectors of one width. */
#define VECTOR_KERNEL(name, features, bytes, rounds)                                                             \
    typedef float name##_vector __attribute__((vector_size(bytes)));                                           \
    __attribute__((target(features), noinline)) static void name(void)                                         \
    {                                                                                                          \
        const name##_vector *data = (const name##_vector *)near;                                               \
        name##_vector a = data[0], b = data[1], c = data[2], d = data[3];                                      \
        for (int round = 0; round < (rounds); round++) {                                                       \
            for (unsigned i = 0; i + 4 <= sizeof near / (bytes); i += 4) {                                     \
                a = a * data[i] + b;                                                                           \
                b = b * data[i + 1] + c;                                                                       \
                c = c * data[i + 2] + d;                                                                       \
                d = d * data[i + 3] + a;                                                                       \
            }                                                                                                  \
        }                                                                                                      \
        a += b + c + d;                                                                                        \
        sink = (uint64_t)a[0];                                                                                 \
    }
VECTOR_KERNEL(sse2, "sse2", 16, 20000)
VECTOR_KERNEL(avx2, "avx2,fma", 32, 40000)
VECTOR_KERNEL(avx512, "avx512f", 64, 80000)

static void copy_little(void)
{
    for (int round = 0; round < 16; round++) {
        memcpy(copy, far, large / 16);
        sink = copy[round];
    }
}
static void copy_much(void)
{
    memcpy(copy, far, large);
    sink = copy[large / 2];
}

/* The cache lines of `far`, linked into one ring in an order that looks random (a linear congruential generator goes
 * through all numbers before it repeats): each load waits for the one before. */
static void link_ring(void)
{
    const size_t lines = large / cache_line;
    for (size_t line = 0; line < lines; line++)
        *(void **)(far + line * cache_line) = far + (line * 1664525 + 1013904223) % lines * cache_line;
}
static void chase_pointers(void)
{
    void **at = (void **)far;
    for (int i = 0; i < 200000; i++) at = (void **)*at;
    sink = (uint64_t)at;
}

static void fill_little(void)
{
    memset(far, 1, large / 16);
    memset(copy, 2, large / 16);
}
static void fill_much(void)
{
    memset(far, 1, large);
    memset(copy, 2, large);
}
static void fill_near(void)
{
    for (int i = 0; i < small; i += 4) memcpy(near + i, &(float){0.25f}, 4);
}

static int always(void) { return 1; }
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) { return __builtin_cpu_supports("avx512f"); }

static const struct {
    const char *name;
    int (*possible)(void);
    void (*prepare)(void);
    void (*work)(void);
} kernels[] = {
    {"scalar", always, fill_near, scalar},
    {"sse2", always, fill_near, sse2},
    {"avx2", has_avx2, fill_near, avx2},
    {"avx512", has_avx512, fill_near, avx512},
    {"memcpy-4MiB", always, fill_little, copy_little},
    {"memcpy-64MiB", always, fill_much, copy_much},
    {"chase-64MiB", always, link_ring, chase_pointers},
};

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}
static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    enum { most = 1000 };
    static int64_t times[most];
    int repetitions = argc > 2 ? atoi(argv[2]) : 1;
    if (repetitions < 1 || repetitions > most) repetitions = 1;
    for (unsigned i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (!kernels[i].possible()) continue;
        if (argc < 2) {
            puts(kernels[i].name);
        } else if (strcmp(argv[1], kernels[i].name) == 0) {
            kernels[i].prepare();
            kernels[i].work();
            for (int n = 0; n < repetitions; n++) {
                const int64_t begin = now();
                kernels[i].work();
                times[n] = now() - begin;
            }
            qsort(times, (size_t)repetitions, sizeof *times, ascending);
            printf("%lld\n", (long long)times[repetitions / 2]);
            return 0;
        }
    }
    return argc < 2 ? 0 : 1;
}
