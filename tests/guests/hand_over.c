// Threads that hand over to each other by futexes and sched_yield, many times: each must find its registers, vector
// registers and thread-local storage as it left them, and every call must answer as Linux does.
#define _GNU_SOURCE
#include <errno.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Of linux/futex.h, which musl does not have.
enum {
    FUTEX_WAIT_PRIVATE = 128,
    FUTEX_WAKE_PRIVATE = 129,
    FUTEX_WAIT_BITSET_PRIVATE = 137,
    FUTEX_WAKE_BITSET_PRIVATE = 138
};
enum { threads = 5, rounds = 300 };

static _Atomic uint32_t words[threads];
static __thread int own_number;

static long futex(void* word, int operation, uint32_t value, const struct timespec* time, uint32_t bits) {
    const long result = syscall(SYS_futex, word, operation, value, time, NULL, bits);
    return result < 0 ? -errno : result;
}

// Does the call with all registers that it must keep in use, and says which did not survive.
static long checked_futex(void* word, int operation, uint32_t value, int seed) {
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = seed + 8;
    register long r9 __asm__("r9") = 0xffffffff;
    register long r12 __asm__("r12") = seed + 12;
    register long r13 __asm__("r13") = seed + 13;
    register long r14 __asm__("r14") = seed + 14;
    register long r15 __asm__("r15") = seed + 15;
    __m128i low = _mm_set1_epi32(seed), high = _mm_set1_epi32(~seed);
    long result = SYS_futex, rdi = (long)word, rsi = operation, rdx = value;
    __asm__ volatile("syscall"
                     : "+a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9), "+r"(r12),
                       "+r"(r13), "+r"(r14), "+r"(r15), "+x"(low), "+x"(high)
                     :
                     : "rcx", "r11", "memory");
    const __m128i same =
        _mm_and_si128(_mm_cmpeq_epi32(low, _mm_set1_epi32(seed)), _mm_cmpeq_epi32(high, _mm_set1_epi32(~seed)));
    if (rdi != (long)word || rsi != operation || rdx != value || r10 != 0 || r8 != seed + 8 || r9 != 0xffffffff ||
        r12 != seed + 12 || r13 != seed + 13 || r14 != seed + 14 || r15 != seed + 15 ||
        _mm_movemask_epi8(same) != 0xffff)
        printf("a register of thread %d has changed\n", own_number);
    return result;
}

// A word goes round: each thread waits for its own and wakes the next.
static void* ring(void* argument) {
    own_number = (int)(intptr_t)argument;
    for (int round = 0; round < rounds; ++round) {
        while (atomic_load(&words[own_number]) == 0)
            checked_futex(&words[own_number], FUTEX_WAIT_PRIVATE, 0, own_number * 1000 + round % 7);
        atomic_store(&words[own_number], 0);
        const int next = (own_number + 1) % threads;
        atomic_store(&words[next], 1);
        checked_futex(&words[next], FUTEX_WAKE_PRIVATE, 1, own_number * 77 + round % 5);
        if (own_number != (int)(intptr_t)argument) printf("thread-local storage has changed\n");
    }
    return NULL;
}

static _Atomic int turn;
static void* yielding(void* argument) {
    const int number = (int)(intptr_t)argument;
    double sum = number;
    for (int round = 0; round < rounds; ++round) {
        while (atomic_load(&turn) != number) sched_yield();
        sum += 0.5;
        atomic_store(&turn, (number + 1) % threads);
    }
    if (sum != number + rounds * 0.5) printf("thread %d counted to %f\n", number, sum);
    return NULL;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long shared_sum;
static void* locking(void* argument) {
    for (int round = 0; round < rounds; ++round) {
        pthread_mutex_lock(&mutex);
        shared_sum += (intptr_t)argument;
        if (round % 16 == 0) sched_yield();
        pthread_mutex_unlock(&mutex);
        if (round % 64 == 0) pthread_cond_broadcast(&condition);
    }
    return NULL;
}

static void run(const char* name, void* (*function)(void*)) {
    pthread_t ids[threads];
    for (intptr_t i = 0; i < threads; ++i) pthread_create(&ids[i], NULL, function, (void*)i);
    for (int i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
    printf("%s: done\n", name);
}

// A thread that sleeps with certain bits.
static _Atomic uint32_t word;
static _Atomic int asleep, awake;
static void* sleeper(void* argument) {
    atomic_fetch_add(&asleep, 1);
    const long result = futex((void*)&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, (uint32_t)(uintptr_t)argument);
    if (result != 0) printf("sleeper: %ld\n", result);
    atomic_fetch_add(&awake, 1);
    return NULL;
}

static void wait_for(_Atomic int* count, int value) {
    while (atomic_load(count) < value) sched_yield();
    const struct timespec moment = {0, 20000000};
    nanosleep(&moment, NULL);
}

static void bits(void) {
    pthread_t ids[4];
    for (uintptr_t i = 0; i < 4; ++i) pthread_create(&ids[i], NULL, sleeper, (void*)(uintptr_t)(1u << i));
    wait_for(&asleep, 4);
    printf("bits 16: %ld\n", futex((void*)&word, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, 16));
    printf("bits 2: %ld\n", futex((void*)&word, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, 2));
    wait_for(&awake, 1);
    printf("another word: %ld\n", futex((void*)&words[0], FUTEX_WAKE_PRIVATE, 9, NULL, 0));
    printf("one: %ld\n", futex((void*)&word, FUTEX_WAKE_PRIVATE, 1, NULL, 0));
    wait_for(&awake, 2);
    printf("all: %ld\n", futex((void*)&word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, 0));
    for (int i = 0; i < 4; ++i) pthread_join(ids[i], NULL);
    printf("awake: %d, woken now: %ld\n", awake, futex((void*)&word, FUTEX_WAKE_PRIVATE, 1, NULL, 0));
}

// While there are other threads.
static void* errors(void* argument) {
    (void)argument;
    char* const page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 40; ++i) {
        const long results[] = {
            futex(page, FUTEX_WAIT_PRIVATE, 0, NULL, 0),
            futex((void*)8, FUTEX_WAIT_PRIVATE, 0, NULL, 0),
            futex((char*)&word + 1, FUTEX_WAIT_PRIVATE, 0, NULL, 0),
            futex((char*)&word + 2, FUTEX_WAKE_PRIVATE, 1, NULL, 0),
            futex((void*)&word, FUTEX_WAIT_PRIVATE, 1, NULL, 0),
            futex((void*)&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, 0),
            futex((void*)&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, 0),
            futex((void*)&word, 77, 1, NULL, 0),
            futex((void*)&word, FUTEX_WAKE_PRIVATE, 1, NULL, 0),
            futex((void*)&word, FUTEX_WAIT_PRIVATE, 0, &(const struct timespec){0, 1000}, 0),
        };
        if (i == 0 || i == 39) {
            for (unsigned j = 0; j < sizeof results / sizeof results[0]; ++j) printf(" %ld", results[j]);
            printf("\n");
        }
    }
    return NULL;
}

int main(void) {
    atomic_store(&words[0], 1);
    run("ring", ring);
    run("yielding", yielding);
    run("locking", locking);
    printf("sum %ld\n", shared_sum);
    bits();
    pthread_t id;
    pthread_create(&id, NULL, errors, NULL);
    pthread_join(id, NULL);
    return 0;
}
