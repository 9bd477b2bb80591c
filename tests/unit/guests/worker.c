#define _GNU_SOURCE
// A guest that does one thing per call: what the tests of forks, deadlines and faults need.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "host_call.h"

static volatile uint64_t counter = 100;
static __thread uint64_t thread_value = 7;
static char *heap;
enum { heap_size = 32 << 20 };

static void add(uint64_t a, uint64_t b) { answer(a + b); }
static void count(void) { answer(++counter); }
static uint64_t give_back(uint64_t a) { return a; }
static void tls(void) { errno = 0; answer(++thread_value); }
static void spin(void) { for (;;) __asm__ volatile("pause"); }
static void system_calls_for_ever(void) { for (;;) getppid(); }
static void sleep_long(void) { for (;;) { struct timespec t = {1000, 0}; nanosleep(&t, 0); } }
static void touch(uint64_t first, uint64_t pages) {
    for (uint64_t i = 0; i < pages; ++i) heap[(first + i) * 4096] = 1;
    answer(pages);
}
static void sum(uint64_t first, uint64_t pages) {
    uint64_t s = 0;
    for (uint64_t i = 0; i < pages; ++i) s += (unsigned char)heap[(first + i) * 4096];
    answer(s);
}
static void allocate_all(void) { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }
static uint64_t recurse(uint64_t n) { volatile char block[512]; block[0] = (char)n; return n ? recurse(n + 1) + (uint64_t)block[0] : 0; }
static void overflow_stack(void) { answer(recurse(1)); }
static void random_bytes(void) { uint64_t r = 0; getrandom(&r, sizeof r, 0); answer(r); }
static void now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); answer((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec); }
static void leave(uint64_t status) { exit((int)status); }

static void crash(uint64_t kind) {
    switch (kind) {
    case 0: { volatile uintptr_t at = 8; *(volatile int *)at = 1; break; }
    case 1: __asm__ volatile("ud2"); break;
    case 2: { volatile int zero = 0; counter = (uint64_t)(77 / zero); break; }
    case 3: __asm__ volatile("hlt"); break;
    case 4: __asm__ volatile("movq %0, %%rax\n movq (%%rax), %%rax" ::"r"(0x8000000000000000ull) : "rax"); break;
    case 5: abort();
    case 6: ((void (*)(void))heap)(); break;                        /* not executable */
    case 7: *(volatile char *)(uintptr_t)&crash = 1; break;         /* not writable */
    case 8: __asm__ volatile("movl %%eax, 4(%0)" ::"r"(0x7FFFFFF000)); break;
    case 9: __asm__ volatile("movups %%xmm0, (%0)" ::"r"(0x7FFFFFF000)); break;
    case 10: __asm__ volatile("movl (%0), %%eax" ::"r"(0x7FFFFFF000) : "eax"); break;
    case 11: __asm__ volatile("int $0x80"); break;
    case 12: __asm__ volatile("xorl %%esp, %%esp\n pushq %%rax" :: : "memory"); break;
    case 13: __asm__ volatile("movabsq $0xdead00000000, %%rsp\n ud2" :: : "memory"); break;
    case 14: __asm__ volatile("mov %0, %%ss" ::"r"(0xFFF8)); break;
    case 15: *(volatile char *)0x7FFFE01000 = 1; break;             /* descriptor tables */
    case 16: *(volatile char *)0x7FFFE04000 = 1; break;             /* shim */
    case 17: counter = *(volatile uint64_t *)0x7FFFE20000; break;   /* page tables */
    case 18: { void *p = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); *(char *)p = 1; munmap(p, 4096); *(volatile char *)p = 1; break; }
    case 19: __asm__ volatile("int3"); break;
    case 20: raise(SIGKILL); break;
    case 21: __asm__ volatile("movabsl %%eax, 0x7FFFFFF008\n" :: "a"(0), "c"(0x1234), "D"(0) : "memory"); break;
    }
    answer(0);
}

/* Old convention: OUT instead of the doorbell. */
static void old_answer(uint64_t value) {
    long result;
    __asm__ volatile("out %%eax, $0" : "=a"(result) : "a"(CALL_ANSWER), "D"(value) : "memory");
}

static volatile int handled;
static void handler(int signal) { handled = signal; }
static void handle_fault(void);
static uintptr_t skip_to;
static void skip(int signal, siginfo_t *info, void *context) {
    (void)signal; (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = (greg_t)skip_to;
    handled = 1;
}
static void handle_fault(void) {
    struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    handled = 0;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n movq %%rax, %0\n movl $1, 8\n 1:" : "=m"(skip_to)::"rax", "memory");
    answer((uint64_t)handled);
}
static void raise_signal(uint64_t number) {
    signal((int)number, handler);
    raise((int)number);
    answer((uint64_t)handled);
}
/* Write code into fresh memory, run it: returns its value. A fork that did this is built anew. */
static void generate_code(void) {
    unsigned char *code = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6);
    answer((uint64_t)((int (*)(void))code)());
}
/* The protection of memory that was used before, narrowed and widened again. */
static void reprotect(void) {
    unsigned char *p = mmap(0, 3 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 0xC3, 3 << 20);
    mprotect(p + 4096, 4096, 1);
    mprotect(p + (1 << 20), 8192, 5);
    ((void (*)(void))(p + (1 << 20)))();
    mprotect(p + 4096, 4096, 3);
    p[4096] = 1;
    mprotect(p, 3 << 20, 0);
    mprotect(p, 3 << 20, 3);
    answer(p[4096] == 1 && p[8192] == 0xC3);
}
static void write_to(uint64_t address, uint64_t value) { *(volatile uint64_t *)address = value; answer(1); }
static void write_and_crash(uint64_t address, uint64_t value) {
    *(volatile uint64_t *)address = value;
    __asm__ volatile("ud2");
}
static void read_from(uint64_t address) { answer(*(volatile uint64_t *)address); }

/* Loads from the doorbell page, which KVM emulates piece by piece. */
static void copy_from_doorbell(uint64_t bytes, uint64_t page) {
    void *to = heap + page * 4096 - 2, *from = (void *)0x7FFFFFF000;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
    answer(0xbad);
}
/* One page in each of many far places, given back at once: page tables pile up. */
static void map_far_apart(uint64_t places, uint64_t hold) {
    for (uint64_t i = 0; i < places; ++i) {
        char *at = (char *)(0x10000000000ull + (i << 39) % 0x600000000000ull + (i << 30) % (1ull << 39));
        char *p = mmap(at, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (p == MAP_FAILED) { answer(i); }
        *p = 1;
        mmap(at + 4096, (2 << 20) - 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (!hold) munmap(at, 2 << 20);
    }
    answer(places);
}
/* Every other page of what the program had filled. */
static void discard_every_other(void) {
    for (int i = 0; i < 64; i += 2) madvise(heap + i * 4096, 4096, MADV_DONTNEED);
    uint64_t s = 0;
    for (int i = 0; i < 64; ++i) s += (unsigned char)heap[i * 4096];
    answer(s);
}
static void map_amount(uint64_t bytes) {
    answer(mmap(0, bytes, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}
static void cpu_time(uint64_t rounds) {
    for (volatile uint64_t i = 0; i < rounds; ++i) {}
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    for (volatile uint64_t i = 0; i < rounds; ++i) {}
    answer((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}
/* A guest that lies in its mailbox (tinykvm/x86/shim_ports.h): answers, posts nonsense or pretends to wait, and goes on. */
static void lie(uint64_t kind) {
    volatile uint32_t *phase = (volatile uint32_t *)0x7FFFE0A000;
    volatile uint64_t *words = (volatile uint64_t *)0x7FFFE0A000;
    words[3] = 1234; /* first argument */
    if (kind == 0) words[2] = CALL_ANSWER, *phase = 3;
    for (uint64_t i = 0;; ++i) {
        if (kind == 1) words[2] = i | 0x10000, *phase = 3;              /* calls without waiting for their end */
        if (kind == 2) *phase = 1;                                      /* "I wait" */
        if (kind == 3) *phase = (uint32_t)i;                            /* everything */
        if (kind == 4) words[2] = CALL_ANSWER, words[3] = i, *phase = 3; /* answers again and again */
        heap[(i % 64) * 4096] = (char)i;
        if (kind == 5 && i > 1000) getppid();
    }
}
/* Answers with a stack on which nothing can be called any more. */
static void answer_without_stack(void) {
    uintptr_t page = (uintptr_t)__builtin_frame_address(0) & ~4095ul;
    register uint64_t host __asm__("r10") = 0x7FFFE04800;
    __asm__ volatile("syscall\n\tmovl %[answer], %%eax\n\tleaq 1f(%%rip), %%r11\n\tjmp *%[host]\n1:\tud2"
                     :: "a"(10L), "D"(page - 8192), "S"(4 * 4096L), "d"(1L), [host] "r"(host), [answer] "i"(CALL_ANSWER)
                     : "rcx", "r11", "memory");
}
/* Makes host calls before it answers. */
static void note_then_answer(uint64_t notes, uint64_t value) {
    for (uint64_t i = 0; i < notes; ++i) host_call(CALL_NOTE, i, value);
    answer(value);
}
/* 1: both values of a call came, and RDX is untouched by calls with one. */
static void take_pair(uint64_t value) {
    uint64_t second = 77, same = 78;
    long first = host_call_2(CALL_PAIR, value, &second);
    host_call_2(CALL_NOTE, value, &same);
    answer(first == (long)value + 1 && second == value + 2 && same == 78);
}
static void linux_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
    register uint64_t r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = 0;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    answer(number);
}
static void increment(uint64_t address, uint64_t times) {
    while (times--) __atomic_add_fetch((uint64_t *)address, 1, __ATOMIC_RELAXED);
    answer(1);
}
static void touch_range(uint64_t begin, uint64_t end) {
    uint64_t pages = 0;
    for (; begin < end; begin += 4096, ++pages) *(volatile char *)begin = 1;
    answer(pages);
}
static void execute(uint64_t address) { ((void (*)(void))address)(); }
/* A string that is "" and "aaaaaaa..." in turns, for ever. */
static void change_string(uint64_t address) {
    for (char *text = (char *)address;;) {
        for (int i = 64; i-- > 0;) ((volatile char *)text)[i] = 'a';
        for (int i = 64; i-- > 0;) ((volatile char *)text)[i] = 0;
    }
}
/* Memory of many protections, made before the program waits: pages that may be written; only read, since; not even
 * read, since; that are gone; that could be executed once; then two aligned blocks, of which a page may only be read. */
static char *mixed;
static void mixed_memory(void) { answer((uint64_t)mixed); }
static void make_mixed_memory(void) {
    const size_t block = 2 << 20;
    char *memory = mmap(0, 4 * block, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mixed = (char *)(((uintptr_t)memory + block - 1) & ~(block - 1));
    for (int i = 0; i < 6; ++i) memset(mixed + i * 4096, 0xC3, 4096);
    for (size_t at = block; at < 3 * block; at += 4096) mixed[at] = 1;
    mprotect(mixed + 4096, 4096, 1);
    mprotect(mixed + 2 * 4096, 4096, 0);
    munmap(mixed + 3 * 4096, 4096);
    mprotect(mixed + 4 * 4096, 4096, 7);
    mprotect(mixed + 4 * 4096, 4096, 1);
    mprotect(mixed + 2 * block + 8 * 4096, 4096, 1);
}
static void configuration(uint64_t name) { answer((uint64_t)sysconf((int)name)); }
static void jump_far(void) { ((void (*)(void))0x1234567800000000)(); }

// Registers of AMX, which no guest is told of: 64 bytes of configuration, the first 8 are answered.
static void set_tiles(void) {
    char configuration[64] = {1, [16] = 64, [48] = 16};
    __asm__ volatile(".byte 0xC4, 0xE2, 0x78, 0x49, 0x00" ::"a"(configuration), "m"(configuration)); /* LDTILECFG (RAX) */
    answer(0);
}
static void tiles(void) {
    uint64_t configuration[8] = {0};
    __asm__ volatile(".byte 0xC4, 0xE2, 0x79, 0x49, 0x00" : "+m"(configuration) : "a"(configuration)); /* STTILECFG (RAX) */
    answer(configuration[0]);
}
static void set_vector(uint64_t value) {
    __asm__ volatile("movq %0, %%xmm15" ::"r"(value) : "xmm15");
    answer(value);
}
static void vector(void) {
    uint64_t value;
    __asm__ volatile("movq %%xmm15, %0" : "=r"(value));
    answer(value);
}
/* Not zero when a register that the call does not name has changed meanwhile. */
static uint64_t wait_with_registers(void) {
    uint64_t wrong;
    register uint64_t host __asm__("r10") = 0x7FFFE04800;
    __asm__ volatile(
        "leaq 1f(%%rip), %%r11\n\t"
        "movl $11, %%ebx\n\tmovl $12, %%ecx\n\tmovl $13, %%edx\n\tmovl $14, %%esi\n\tmovl $15, %%edi\n\t"
        "movl $16, %%r8d\n\tmovl $17, %%r9d\n\tmovl $18, %%r12d\n\tmovl $19, %%r13d\n\tmovl $20, %%r14d\n\t"
        "movl $21, %%r15d\n\tmovq %%rbx, %%xmm15\n\t"
        "jmp *%%r10\n1:\t"
        "movq %%xmm15, %%rax\n\tsubq $11, %%rax\n\tsubq $11, %%rbx\n\torq %%rbx, %%rax\n\t"
        "subq $12, %%rcx\n\torq %%rcx, %%rax\n\tsubq $13, %%rdx\n\torq %%rdx, %%rax\n\t"
        "subq $14, %%rsi\n\torq %%rsi, %%rax\n\tsubq $15, %%rdi\n\torq %%rdi, %%rax\n\t"
        "subq $16, %%r8\n\torq %%r8, %%rax\n\tsubq $17, %%r9\n\torq %%r9, %%rax\n\t"
        "subq $18, %%r12\n\torq %%r12, %%rax\n\tsubq $19, %%r13\n\torq %%r13, %%rax\n\t"
        "subq $20, %%r14\n\torq %%r14, %%rax\n\tsubq $21, %%r15\n\torq %%r15, %%rax"
        : "=a"(wrong), "+r"(host)
        : "a"((long)CALL_WAIT)
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r11", "r12", "r13", "r14", "r15", "xmm15", "cc", "memory");
    return wrong;
}

int main(void) {
    heap = mmap(0, heap_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 64; ++i) heap[i * 4096] = 2;
    make_mixed_memory();
#define OFFER(f) offer(#f, f)
    OFFER(add); OFFER(count); OFFER(give_back); OFFER(tls); OFFER(spin); OFFER(system_calls_for_ever); OFFER(sleep_long);
    OFFER(touch); OFFER(sum); OFFER(allocate_all); OFFER(overflow_stack); OFFER(random_bytes); OFFER(now);
    OFFER(leave); OFFER(crash); OFFER(old_answer); OFFER(handle_fault); OFFER(raise_signal); OFFER(generate_code);
    OFFER(copy_from_doorbell); OFFER(map_far_apart); OFFER(discard_every_other); OFFER(map_amount); OFFER(cpu_time);
    OFFER(jump_far); OFFER(lie); OFFER(note_then_answer); OFFER(answer_without_stack); OFFER(reprotect); OFFER(take_pair); OFFER(linux_call); OFFER(increment); OFFER(touch_range); OFFER(execute); OFFER(change_string); OFFER(write_to); OFFER(read_from); OFFER(write_and_crash); OFFER(mixed_memory); OFFER(configuration);
    OFFER(set_vector); OFFER(vector);
    OFFER(set_tiles); OFFER(tiles);
    /* Where Fork::resume goes on. */
    const uint64_t wrong = wait_with_registers();
    answer(wrong ? wrong : counter);
    return 42;
}
