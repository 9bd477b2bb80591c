// A guest whose threads compute at the same time: what they share, and what each has of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "host_call.h"

enum { most = 4, page = 4096, pages = 64, turns = 12 };

static __thread uint64_t own = 7;
static _Atomic uint64_t turn, stage, seen, handled, wrong, progress[most];

static void relax(void) { __asm__ volatile("pause"); }
static void await(_Atomic uint64_t *word, uint64_t value) {
    while (atomic_load(word) != value) relax();
}

// Two threads take turns without calls: on a single CPU each turn takes a time slice.
static void take_turns(uint64_t me) {
    for (uint64_t i = 0; i < turns; ++i) {
        await(&turn, 2 * i + me);
        atomic_store(&turn, 2 * i + me + 1);
    }
}
static pthread_t start(void *(*run)(void *), uintptr_t argument) {
    pthread_t thread;
    if (pthread_create(&thread, 0, run, (void *)argument) != 0) abort();
    return thread;
}
static void *meet_and_spin(void *unused) {
    take_turns(1);
    for (;; ++progress[1]) relax();
    return unused;
}
// There is a thread on another CPU afterwards, which spins for ever.
static pthread_t spread(void) {
    const pthread_t thread = start(meet_and_spin, 0);
    take_turns(0);
    return thread;
}

// --- What they compute

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_spinlock_t spinlock;
static uint64_t locked, spun, rounds;
static _Atomic uint64_t added;
static void *count_up(void *unused) {
    for (uint64_t i = 0; i < rounds; ++i) {
        pthread_mutex_lock(&mutex);
        ++locked;
        pthread_mutex_unlock(&mutex);
        pthread_spin_lock(&spinlock);
        ++spun;
        pthread_spin_unlock(&spinlock);
        ++added;
    }
    return unused;
}
static void count(uint64_t threads, uint64_t times) {
    pthread_t started[64];
    rounds = times;
    pthread_spin_init(&spinlock, 0);
    for (uint64_t i = 0; i < threads; ++i) started[i] = start(count_up, i);
    for (uint64_t i = 0; i < threads; ++i) pthread_join(started[i], 0);
    answer(locked == added && spun == added ? locked : 0);
}
static void turns_only(void) {
    spread();
    await(&turn, 2 * turns);
    answer(1);
}

// Registers, vector registers and thread-local storage, with calls now and then, of which some hand over.
static void *keep_registers(void *argument) {
    const uint64_t seed = (uint64_t)argument;
    const int id = gettid();
    own = seed;
    for (uint64_t i = 0; i < rounds; ++i) {
        register uint64_t r12 __asm__("r12") = seed + 12, r13 __asm__("r13") = seed + 13;
        register uint64_t r14 __asm__("r14") = seed + 14, r15 __asm__("r15") = seed + 15;
        uint64_t low = 0, high = 0, count_ = 1000;
        __asm__ volatile("movq %[seed], %%xmm3\n\tmovq %[seed], %%xmm15\n1:\tpause\n\tdec %[count]\n\tjnz 1b\n\t"
                         "movq %%xmm3, %[low]\n\tmovq %%xmm15, %[high]"
                         : [low] "=&r"(low), [high] "=&r"(high), [count] "+&r"(count_), "+r"(r12), "+r"(r13),
                           "+r"(r14), "+r"(r15)
                         : [seed] "r"(seed)
                         : "xmm3", "xmm15", "cc");
        if (low != seed || high != seed) atomic_fetch_add(&wrong, 1);
        if (r12 != seed + 12 || r13 != seed + 13 || r14 != seed + 14 || r15 != seed + 15)
            atomic_fetch_add(&wrong, 1 << 16);
        if (own != seed) atomic_fetch_add(&wrong, 1UL << 32);
        if (i % 64 == seed % 64 && gettid() != id) atomic_fetch_add(&wrong, 1UL << 48);
        if (i % 200 == 0) sched_yield();
    }
    return 0;
}
static void registers(uint64_t threads, uint64_t times) {
    pthread_t started[64];
    rounds = times;
    for (uint64_t i = 0; i < threads; ++i) started[i] = start(keep_registers, 0x1111111111 * (i + 1));
    keep_registers((void *)0x9876543210);
    for (uint64_t i = 0; i < threads; ++i) pthread_join(started[i], 0);
    answer(wrong + (own != 0x9876543210));
}

// Both write to the same pages for the first time.
static volatile unsigned char memory[pages * page] __attribute__((aligned(4096)));
static void *mark_all(void *argument) {
    const uintptr_t me = (uintptr_t)argument;
    take_turns(me);
    for (int i = 0; i < pages; ++i)
        for (int k = 0; k < page; k += 64) memory[i * page + k + (int)me] = (unsigned char)(1 + me);
    return 0;
}
static void mark(void) {
    const pthread_t other = start(mark_all, 1);
    mark_all(0);
    pthread_join(other, 0);
    uint64_t bad = 0;
    for (int i = 0; i < pages * page; i += 64) bad += memory[i] != 1 || memory[i + 1] != 2;
    answer(bad);
}
static void unmarked(void) {
    uint64_t bad = 0;
    for (int i = 0; i < pages * page; ++i) bad += memory[i] != 0;
    answer(bad + own - 7 + turn + stage + seen + handled + locked + wrong + progress[1]);
}

// --- Memory that one changes while another looks

static volatile uint64_t *area;
static void *follow(void *unused) {
    take_turns(1);
    for (uint64_t last = 0;;) {
        const uint64_t now = atomic_load(&stage);
        if (now == last) continue;
        last = now;
        atomic_store(&seen, *area + 1);
        atomic_store(&progress[2], now);
    }
    return unused;
}
static uint64_t look_again(void) {
    atomic_fetch_add(&stage, 1);
    await(&progress[2], atomic_load(&stage));
    return atomic_load(&seen) - 1;
}
static void *map_at(void *place, int protection) {
    return mmap(place, page, protection, MAP_PRIVATE | MAP_ANONYMOUS | (place ? MAP_FIXED : 0), -1, 0);
}
static void remap(uint64_t times) {
    uint64_t bad = 0;
    area = map_at(0, PROT_READ | PROT_WRITE);
    start(follow, 0);
    take_turns(0);
    for (uint64_t i = 1; i <= times; ++i) {
        *area = i;
        bad += look_again() != i;
        if (map_at((void *)area, PROT_READ | PROT_WRITE) != (void *)area) ++bad;
        bad += look_again() != 0;
        munmap((void *)area, page);
        if (map_at((void *)area, PROT_READ) != (void *)area) ++bad;
        bad += look_again() != 0;
        mprotect((void *)area, page, PROT_READ | PROT_WRITE);
    }
    answer(bad);
}

// --- Signals

static void note_thread(int signal) {
    (void)signal;
    atomic_store(&handled, (uint64_t)gettid());
}
static void *tell_and_spin(void *id) {
    *(_Atomic uint64_t *)id = (uint64_t)gettid();
    return meet_and_spin(0);
}
static void signal_to_other(uint64_t times) {
    static _Atomic uint64_t id;
    uint64_t bad = 0;
    signal(SIGUSR1, note_thread);
    const pthread_t other = start(tell_and_spin, (uintptr_t)&id);
    take_turns(0);
    for (uint64_t i = 0; i < times; ++i) {
        atomic_store(&handled, 0);
        bad += pthread_kill(other, SIGUSR1) != 0;
        await(&handled, id);
    }
    answer(bad);
}
static void make_readable(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if ((uint64_t)info->si_addr == (uint64_t)area || info->si_addr == 0)
        mprotect((void *)area, page, PROT_READ | PROT_WRITE);
    ++handled;
}
static void fault_in_other(uint64_t times) {
    const struct sigaction action = {.sa_sigaction = make_readable, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    uint64_t bad = 0;
    area = map_at(0, PROT_READ | PROT_WRITE);
    start(follow, 0);
    take_turns(0);
    for (uint64_t i = 1; i <= times; ++i) {
        *area = i;
        mprotect((void *)area, page, PROT_NONE);
        bad += look_again() != i;
        bad += handled != i;
    }
    answer(bad);
}
static void note_trap(int signal) { (void)signal, ++handled; }
static void *trap(void *argument) {
    take_turns(1);
    for (uint64_t i = 0; i < (uint64_t)argument; ++i) {
        for (int k = 0; k < 1000; ++k) relax();
        __asm__ volatile("int3");
    }
    return 0;
}
static void traps_in_other(uint64_t times) {
    signal(SIGTRAP, note_trap);
    const pthread_t other = start(trap, times);
    take_turns(0);
    for (uint64_t i = 0; i < 50000; ++i) relax();
    pthread_join(other, 0);
    answer(handled);
}
static uint64_t wanted_alarms;
/* On a slow machine the next alarm comes before the handler has returned, so the last one stops them. */
static void note_alarm(int signal) {
    const struct itimerval none = {{0, 0}, {0, 0}};
    (void)signal;
    if (++handled >= wanted_alarms) setitimer(ITIMER_REAL, &none, 0);
}
static void alarms(uint64_t times) {
    wanted_alarms = times;
    signal(SIGALRM, note_alarm);
    spread();
    const struct itimerval each = {{0, 2000}, {0, 2000}};
    setitimer(ITIMER_REAL, &each, 0);
    while (handled < times) relax();
    answer(1);
}

// --- Ends

static void *end_badly(void *how) {
    static volatile int *volatile nowhere;
    static char *volatile code;
    take_turns(1);
    switch ((uint64_t)how) {
        case 0: *nowhere = 1; break;
        case 1: __asm__ volatile("ud2"); break;
        case 2: exit(9); break;
        case 3: answer(own + 1); break;
        case 4: abort(); break;
        case 5: *(volatile uint32_t *)0x7FFFE05000; break;
        case 6: code = (char *)area, ((void (*)(void))code)(); break;
        case 7: for (;;) relax();
        case 8: for (unsigned char *p = 0;;) {
            if (((uint64_t)p & 0xfffff) == 0) p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (p == MAP_FAILED) for (;;) relax();
            *p = 1, p += page;
        }
        case 9: ((void (*)(void))0x7FFFE04000)(); break;
        case 10: syscall(SYS_exit_group, 11); break;
    }
    return 0;
}
/* The first thread computes, or sleeps, or makes calls. */
static void suffer(uint64_t kind, uint64_t how) {
    area = map_at(0, PROT_READ | PROT_WRITE);
    start(end_badly, kind);
    take_turns(0);
    for (;;) {
        if (how == 0) ++progress[0];
        if (how == 1) pause();
        if (how == 2) getppid();
    }
}
static volatile unsigned char eaten[64 << 20];
static void *eat(void *argument) {
    const uint64_t me = (uint64_t)argument;
    take_turns(me);
    for (uint64_t at = me * page; at < sizeof eaten; at += 2 * page) eaten[at] = 1;
    return 0;
}
static void eat_memory(void) {
    start(eat, 1);
    eat(0);
    for (;;) relax();
}

// --- What they are told

static void processors(void) {
    cpu_set_t set;
    uint64_t rows = 0;
    char line[256];
    sched_getaffinity(0, sizeof set, &set);
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) rows += strncmp(line, "processor", 9) == 0;
    if (file) fclose(file);
    const uint64_t online = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), known = (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
    answer((uint64_t)CPU_COUNT(&set) | rows << 8 | online << 16 | known << 24 | (uint64_t)sched_getcpu() << 32);
}
static uint64_t clock_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
/* CPU time of all threads counts, and never more than there was on all CPUs. */
static void clocks(void) {
    const uint64_t cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID), real = clock_of(CLOCK_MONOTONIC);
    spread();
    for (uint64_t i = 0; i < 200000; ++i) relax();
    const uint64_t used = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu, passed = clock_of(CLOCK_MONOTONIC) - real;
    answer(used > 0 && used < passed * most);
}

// --- Beside multiprocess

static void add_own(uint64_t cpu, uint64_t argument) { added += cpu * argument; }
static void work_beside(void) {
    spread();
    const uint64_t before = progress[1];
    host_call(CALL_WORK, (uint64_t)add_own, 10);
    host_call(CALL_AWAIT, 0, 0);
    while (progress[1] == before) relax();
    answer(added);
}
static void notes(uint64_t times) {
    spread();
    for (uint64_t i = 0; i < times; ++i) {
        host_call(CALL_NOTE, i, 0);
        for (int k = 0; k < 3000; ++k) relax();
    }
    answer(times);
}

// --- Threads of the snapshot

static void *spin_for_ever(void *unused) {
    for (;; ++progress[3]) relax();
    return unused;
}
static void goes_on(void) {
    const uint64_t before = progress[3];
    while (progress[3] < before + 1000) relax();
    answer(1);
}

int main(int count_, char **arguments) {
    (void)arguments;
    if (count_ > 1) {
        start(spin_for_ever, 0);
        spread();
        atomic_store(&turn, 0);
    }
#define OFFER(f) offer(#f, f)
    OFFER(count); OFFER(turns_only); OFFER(registers); OFFER(mark); OFFER(unmarked); OFFER(remap);
    OFFER(signal_to_other); OFFER(fault_in_other); OFFER(traps_in_other); OFFER(alarms); OFFER(suffer);
    OFFER(eat_memory); OFFER(processors); OFFER(clocks); OFFER(work_beside); OFFER(notes); OFFER(goes_on);
    host_call(CALL_WAIT, 0, 0);
    return 0;
}
