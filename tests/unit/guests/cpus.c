#define _GNU_SOURCE
// A guest that gives work to its further CPUs: what the tests of further_vcpus_test.cpp need.
#include <emmintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host_call.h"

enum { numbers_count = 1 << 20, pages = 256, max_cpus = 8 };

typedef void (*work_t)(uint64_t cpu, uint64_t argument);

static uint32_t *numbers;
static unsigned char *memory;  // `pages`, each filled with 7
static volatile uint64_t cpus, started, shared_counter, results[max_cpus];
static volatile int go;

static void begin(work_t work, uint64_t argument) {
    host_call(CALL_WORK, (uint64_t)work, argument);
}
static void await(void) { host_call(CALL_AWAIT, 0, 0); }
static void run_on_all(work_t work, uint64_t argument) {
    begin(work, argument);
    work(0, argument);
    await();
}
static void arrive(void) {
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    while (started % cpus != 0) __builtin_ia32_pause();
}

static void count(void) { answer((uint64_t)host_call(CALL_WORK, 0, 0)); }
static void wrong_function(uint64_t function) {
    const long result = host_call(CALL_WORK, function, 0);
    await();
    answer((uint64_t)result);
}

static void sum_part(uint64_t cpu, uint64_t n) {
    uint64_t sum = 0;
    for (uint64_t i = n * cpu / cpus; i < n * (cpu + 1) / cpus; ++i) sum += numbers[i];
    results[cpu] = sum;
}
static void sum(uint64_t n) {
    run_on_all(sum_part, n);
    uint64_t all = 0;
    for (uint64_t cpu = 0; cpu < cpus; ++cpu) all += results[cpu];
    answer(all);
}

static void increment_all(uint64_t cpu, uint64_t times) {
    (void)cpu;
    arrive();
    for (uint64_t i = 0; i < times; ++i) __atomic_add_fetch(&shared_counter, 1, __ATOMIC_RELAXED);
}
static void increment(uint64_t times) { run_on_all(increment_all, times); answer(shared_counter); }

/* First writes of all CPUs to all pages at once, each to a byte of its own, in an order of its own. */
static void mark_pages(uint64_t cpu, uint64_t tag) {
    arrive();
    for (uint64_t i = 0; i < pages; ++i) memory[(cpu % 2 ? pages - 1 - i : i) * 4096 + cpu] = (unsigned char)(tag + cpu);
}
/* How many bytes are not as they should be after that. */
static uint64_t wrong_bytes(uint64_t tag, uint64_t marked) {
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < pages * 4096; ++i)
        wrong += memory[i] != (i % 4096 < marked ? (unsigned char)(tag + i % 4096) : 7);
    return wrong;
}
static void mark(uint64_t tag) { run_on_all(mark_pages, tag); answer(wrong_bytes(tag, cpus)); }
static void unmarked(void) { answer(wrong_bytes(0, 0)); }

static void compute(uint64_t cpu, uint64_t rounds) {
    uint64_t value = cpu + 1;
    for (uint64_t i = 0; i < rounds; ++i) value = value * 6364136223846793005u + 1442695040888963407u;
    results[cpu] = value;
}
static void compute_on_all(uint64_t rounds) {
    run_on_all(compute, rounds);
    uint64_t all = 0;
    for (uint64_t cpu = 0; cpu < cpus; ++cpu) all ^= results[cpu];
    answer(all);
}
static void compute_here(uint64_t n, uint64_t rounds) {
    uint64_t all = 0;
    for (uint64_t cpu = 0; cpu < n; ++cpu) {
        compute(cpu, rounds);
        all ^= results[cpu];
    }
    answer(all);
}

/* Address 8, of which the compiler must not know it. */
static volatile int *volatile nowhere = (volatile int *)8;
static uint64_t overflow(uint64_t n) {
    volatile char block[512];
    block[0] = (char)n;
    return n ? overflow(n + 1) + (uint64_t)block[0] : 0;
}
/* What ends a request when a further CPU does it. */
static void misbehave(uint64_t cpu, uint64_t kind) {
    if (cpu != cpus - 1) return;
    switch (kind) {
    case 0: *nowhere = 1; break;
    case 1: __asm__ volatile("ud2"); break;
    case 2: getppid(); break;
    case 3: host_call(CALL_NOTE, 0, 0); break;
    case 4: for (;;) __builtin_ia32_pause();
    case 5: __asm__ volatile("movups %%xmm0, (%0)" ::"r"(0x7FFFFFF000)); break;
    case 6: __asm__ volatile("movl (%0), %%eax" ::"r"(0x7FFFFFF000) : "eax"); break;
    case 7: __asm__ volatile("xorl %%esp, %%esp\n pushq %%rax" ::: "memory"); break;
    case 8: __asm__ volatile("out %%eax, $0" ::"a"(CALL_NOTE)); break;
    case 9: ((void (*)(void))memory)(); break;
    case 10: ((void (*)(void))0x1234567800000000)(); break;
    case 11: *(volatile char *)0x7FFFE05000 = 1; break; /* exception stacks */
    case 12: overflow(1); break;
    case 13: *(volatile char *)0x7FFFE04000 = 1; break; /* shim */
    case 14: __asm__ volatile("syscall" ::"a"(202L), "D"(&go), "S"(0L), "d"(0L) : "rcx", "r11", "memory"); break;
    }
}
/* Awaits it, computes meanwhile, or makes system calls meanwhile. */
static void suffer(uint64_t kind, uint64_t how) {
    begin(misbehave, kind);
    while (how == 1) __builtin_ia32_pause();
    while (how == 2) getppid();
    await();
    answer(1);
}
static void crash_all(uint64_t cpu, uint64_t unused) {
    (void)cpu, (void)unused;
    arrive();
    *nowhere = 1;
}
static void all_crash(void) { run_on_all(crash_all, 0); answer(1); }

static void eat(uint64_t cpu, uint64_t begin_at) {
    for (char *at = (char *)begin_at + cpu * (64 << 20), *end = at + (64 << 20); at < end; at += 4096) *(volatile char *)at = 1;
}
static void eat_memory(uint64_t with_first) {
    char *much = mmap(0, 512 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    begin(eat, (uint64_t)much);
    if (with_first) eat(0, (uint64_t)much);
    await();
    answer(1);
}
static void touch(uint64_t cpu, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) memory[(i % pages) * 4096 + cpu] = 1;
}
static void touch_on_all(uint64_t count) { run_on_all(touch, count); answer(cpus); }

/* Writes to everything it can for ever, in registers, too. */
static void rage(uint64_t cpu, uint64_t tag) {
    const __m128i all = _mm_set1_epi64x((long)tag);
    unsigned control = 0x1F80 | 0x6000;
    __asm__ volatile("ldmxcsr %0\n movdqa %1, %%xmm7\n movdqa %1, %%xmm15\n fldpi\n fldpi" ::"m"(control), "x"(all) : "xmm7", "xmm15");
    go = 1;
    for (uint64_t i = 0;; ++i) {
        memory[(i % pages) * 4096 + 100 + cpu] = (unsigned char)tag;
        __asm__ volatile("movq %0, %%rbx\n movq %0, %%r12\n movq %0, %%r13\n std\n cld" ::"r"(tag) : "rbx", "r12", "r13", "cc");
    }
}
static void spin_on(uint64_t cpu, uint64_t unused) { (void)cpu, (void)unused; for (;;) __builtin_ia32_pause(); }
static void answer_without_waiting(uint64_t tag) {
    begin(rage, tag);
    while (!go) __builtin_ia32_pause();
    answer(tag);
}
static void leave_without_waiting(uint64_t tag) {
    begin(rage, tag);
    while (!go) __builtin_ia32_pause();
    *nowhere = 1;
}

/* What a further CPU finds in its registers: all that is not an argument or the stack has to be zero, the vector
 * registers as its caller has them. */
struct seen { uint64_t general[12], flags; uint32_t mxcsr; uint16_t x87_control, x87_status; unsigned char vectors[256]; uint64_t rsp; };
static struct seen seen[max_cpus];
__attribute__((naked)) static void look(void) {
    __asm__("pushfq\n popq %rax\n"
            "imulq $408, %rdi, %rdx\n addq %rsi, %rdx\n"
            "movq %rax, 96(%rdx)\n"
            "movq %rbx, 0(%rdx)\n movq %rcx, 8(%rdx)\n movq %rbp, 16(%rdx)\n movq %r8, 24(%rdx)\n movq %r9, 32(%rdx)\n"
            "movq %r10, 40(%rdx)\n movq %r11, 48(%rdx)\n movq %r12, 56(%rdx)\n movq %r13, 64(%rdx)\n movq %r14, 72(%rdx)\n"
            "movq %r15, 80(%rdx)\n"
            "stmxcsr 104(%rdx)\n fnstcw 108(%rdx)\n fnstsw 110(%rdx)\n"
            "movups %xmm0, 112(%rdx)\n movups %xmm1, 128(%rdx)\n movups %xmm2, 144(%rdx)\n movups %xmm3, 160(%rdx)\n"
            "movups %xmm4, 176(%rdx)\n movups %xmm5, 192(%rdx)\n movups %xmm6, 208(%rdx)\n movups %xmm7, 224(%rdx)\n"
            "movups %xmm8, 240(%rdx)\n movups %xmm9, 256(%rdx)\n movups %xmm10, 272(%rdx)\n movups %xmm11, 288(%rdx)\n"
            "movups %xmm12, 304(%rdx)\n movups %xmm13, 320(%rdx)\n movups %xmm14, 336(%rdx)\n movups %xmm15, 352(%rdx)\n"
            "movq %rsp, 368(%rdx)\n ret");
}
static void look_at_registers(void) {
    _Static_assert(sizeof(struct seen) == 376 || sizeof(struct seen) <= 408, "see above");
    static unsigned char places[max_cpus * 408];
    memset(places, 0, sizeof places);
    __asm__ volatile("pxor %%xmm7, %%xmm7\n pxor %%xmm15, %%xmm15" ::: "xmm7", "xmm15");
    begin((work_t)(void *)look, (uint64_t)places);
    await();
    uint64_t wrong = 0;
    for (uint64_t cpu = 1; cpu < cpus; ++cpu) {
        memcpy(&seen[cpu], places + cpu * 408, 376);
        for (int i = 0; i < 12; ++i) wrong += seen[cpu].general[i] != 0;
        wrong += seen[cpu].mxcsr != 0x1F80;
        wrong += seen[cpu].x87_control != 0x37F;
        wrong += seen[cpu].x87_status != 0;
        wrong += (seen[cpu].flags & 0xCD5) != 0;
        wrong += seen[cpu].rsp % 16 != 8;
        for (int i = 0; i < 16; ++i) wrong += seen[cpu].vectors[7 * 16 + i] != 0 || seen[cpu].vectors[15 * 16 + i] != 0;
    }
    answer(wrong);
}

/* The first CPU maps and unmaps while others read: each sees what is there. */
static unsigned char *window;
static void watch(uint64_t cpu, uint64_t unused) {
    (void)unused;
    uint64_t changes = 0;
    unsigned char last = *(volatile unsigned char *)window;
    while (!go) {
        const unsigned char now = *(volatile unsigned char *)window;
        changes += now != last;
        last = now;
    }
    results[cpu] = (uint64_t)*(volatile unsigned char *)window << 32 | changes;
}
static void remap(uint64_t times) {
    window = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *window = 1;
    begin(watch, 0);
    for (uint64_t i = 0; i < times; ++i) {
        unsigned char *again = mmap(window, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        *again = (unsigned char)(i + 2);
        char *other = mmap(0, 3 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        other[1 << 20] = 1;
        mprotect(other, 1 << 20, 1);
        munmap(other, 3 << 20);
    }
    const unsigned char last = *window;
    go = 1;
    await();
    uint64_t wrong = 0;
    for (uint64_t cpu = 1; cpu < cpus; ++cpu) wrong += results[cpu] >> 32 != last;
    answer(wrong);
}
/* Rights that are added while others wait for them are seen. */
static void write_when_told(uint64_t cpu, uint64_t at) {
    (void)*(volatile unsigned char *)at;
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    while (!go) __builtin_ia32_pause();
    ((volatile unsigned char *)at)[cpu] = (unsigned char)cpu;
}
static void add_rights(void) {
    unsigned char *at = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(at, 4096, 1);
    begin(write_when_told, (uint64_t)at);
    while (started != cpus - 1) __builtin_ia32_pause();
    mprotect(at, 4096, 3);
    go = 1;
    await();
    uint64_t sum_of = 0;
    for (uint64_t cpu = 1; cpu < cpus; ++cpu) sum_of += at[cpu];
    answer(sum_of);
}

/* Pages of a file that nobody has touched before. */
static void write_to_file(uint64_t cpu, uint64_t at) {
    arrive();
    for (uint64_t i = 0; i < pages; ++i) ((volatile unsigned char *)at)[i * 4096 + cpu] = (unsigned char)(cpu + 1);
}
static void share_file(void) {
    const int fd = memfd_create("file", 0);
    if (ftruncate(fd, pages * 4096) != 0) answer(1);
    unsigned char *at = mmap(0, pages * 4096, 3, MAP_SHARED, fd, 0);
    run_on_all(write_to_file, (uint64_t)at);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < pages; ++i) {
        unsigned char bytes[max_cpus + 1];
        wrong += pread(fd, bytes, sizeof bytes, (off_t)(i * 4096)) != sizeof bytes;
        for (uint64_t cpu = 0; cpu <= max_cpus; ++cpu) wrong += bytes[cpu] != (cpu < cpus ? cpu + 1 : 0);
    }
    answer(wrong);
}

static char stacks[max_cpus << 16] __attribute__((aligned(64)));
__attribute__((noinline)) static long clone_here(void) { return host_call(CALL_CLONE, (uint64_t)stacks, 1 << 16); }
static void clone_all(uint64_t seed) {
    volatile uint64_t mine = seed;
    const long cpu = clone_here();
    mine += (uint64_t)cpu;
    if (cpu > 0) {
        results[cpu] = mine;
        host_call(0xFFFFFFFF, 0, 0);
        __builtin_trap();
    }
    await();
    uint64_t all = mine;
    for (int i = 1; i < max_cpus; ++i) all += results[i];
    answer(cpu < 0 ? (uint64_t)cpu : all);
}
static void stack_of(uint64_t cpu, uint64_t unused) {
    (void)unused;
    results[cpu] = ((uint64_t)__builtin_frame_address(0) - 0x8000000000) >> 23;
}
static void stacks_of_cpus(void) {
    begin(stack_of, 0);
    await();
    uint64_t wrong = 0;
    for (uint64_t cpu = 1; cpu < cpus; ++cpu) wrong += results[cpu] != cpu;
    answer(wrong);
}
static void wait_for_go(uint64_t cpu, uint64_t unused) { (void)cpu, (void)unused; while (!go) __builtin_ia32_pause(); }
static void begin_twice(void) {
    begin(wait_for_go, 0);
    const long second = host_call(CALL_WORK, (uint64_t)wait_for_go, 0);
    go = 1;
    await();
    answer((uint64_t)second);
}

int main(void) {
    cpus = (uint64_t)host_call(CALL_CPUS, 0, 0);
    numbers = mmap(0, numbers_count * sizeof *numbers, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < numbers_count; ++i) numbers[i] = i;
    memory = mmap(0, pages * 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 7, pages * 4096);
    run_on_all(sum_part, 1000); /* also before it is frozen */
    begin(spin_on, 0);          /* which ends where the program is frozen */
#define OFFER(f) offer(#f, f)
    OFFER(count); OFFER(wrong_function); OFFER(sum); OFFER(increment); OFFER(mark); OFFER(unmarked); OFFER(compute_on_all);
    OFFER(compute_here); OFFER(suffer); OFFER(all_crash); OFFER(eat_memory); OFFER(touch_on_all); OFFER(answer_without_waiting);
    OFFER(leave_without_waiting); OFFER(look_at_registers); OFFER(remap); OFFER(add_rights); OFFER(clone_all);
    OFFER(stacks_of_cpus); OFFER(share_file); OFFER(begin_twice);
    host_call(CALL_WAIT, 0, 0);
    return 1;
}
