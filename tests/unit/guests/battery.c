#define _GNU_SOURCE
// The cross-request battery: `dirty` leaves its mark on everything a request can change, in a way the tag chooses;
// `inspect` answers with a digest of everything a request can see. Whatever was dirtied before, the digest is that of a
// first-ever request.
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "host_call.h"

uint64_t registers[32];
int have_xsave;
char vectors[16384] __attribute__((aligned(64)));
void inspect(void);
void fill_vectors(const void *pattern, int kind);

static uint64_t data[1024] = {1, 2, 3}, bss[4096];
static char *heap_block, *mapping, *read_only;
static int file_fd, pipe_fds[2], vector_kind;
static uint64_t allowed_path_seen;

static uint64_t mix(uint64_t h, uint64_t v) { h ^= v + 0x9E3779B97F4A7C15ull + (h << 6) + (h >> 2); return h * 0xBF58476D1CE4E5B9ull; }
static uint64_t mix_bytes(uint64_t h, const void *p, size_t n) {
    for (size_t i = 0; i + 8 <= n; i += 8) { uint64_t v; memcpy(&v, (const char *)p + i, 8); h = mix(h, v); }
    return h;
}

static void on_signal(int s) { (void)s; }

/* One digest a topic: for a failing test. */
static uint64_t parts[16];

static void tell(int first, int last) {
    uint64_t h = 0;
    for (int i = first; i < last; ++i) {
        host_call(CALL_NOTE, (uint64_t)i, parts[i]);
        h = mix(h, parts[i]);
    }
    answer(h);
}

/* `everything`: what takes system calls too, of which each is an exit. */
void inspect_state(uint64_t everything) {
    uint64_t h = 1;
    registers[15] = 0; /* RDI, our argument */
    registers[5] &= 0xFFF;
    parts[0] = mix_bytes(1, registers, sizeof registers);
    /* Vector values, whether the component is in its initial state or was loaded with the same values. */
    parts[1] = mix_bytes(1, vectors + 32, 128 + 256);
    if (have_xsave) parts[1] = mix_bytes(parts[1], vectors + 576, sizeof vectors - 576);
    memset(vectors, 0, sizeof vectors);
    memset(registers, 0, sizeof registers);
    parts[2] = mix_bytes(1, data, sizeof data);
    parts[3] = mix_bytes(1, bss, sizeof bss);
    parts[4] = mix_bytes(1, heap_block, 65536);
    parts[5] = mix_bytes(1, mapping, 65536);
    parts[6] = mix_bytes(1, read_only, 4096);
    char here;
    parts[7] = mix_bytes(1, (char *)((uintptr_t)&here & ~4095ul) - 32768, 32768 - 4096); /* the stack below */

    if (!everything) tell(0, 8);

    h = 1;
    for (int s = 1; s <= 64; ++s) {
        uint64_t action[4] = {0};
        long r = syscall(SYS_rt_sigaction, s, 0, action, 8);
        h = mix(mix_bytes(h, action, sizeof action), (uint64_t)r);
    }
    uint64_t set = 0, pending = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &set, 8);
    syscall(SYS_rt_sigpending, &pending, 8);
    stack_t stack = {0};
    sigaltstack(0, &stack);
    h = mix(mix(mix(mix(h, set), pending), (uint64_t)stack.ss_sp), (uint64_t)stack.ss_flags);
    parts[8] = h;

    h = mix(1, (uint64_t)sbrk(0));
    char *grown = sbrk(8192);
    h = mix_bytes(h, grown, 8192);
    char *fresh = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    h = mix(h, (uint64_t)fresh);
    h = mix_bytes(h, fresh, 65536);
    void *fixed = mmap((void *)0x30000000, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    h = mix(h, (uint64_t)fixed);
    if (fixed != MAP_FAILED) h = mix_bytes(h, fixed, 65536);
    parts[9] = h;

    h = 1;
    char name[256] = {0};
    h = mix(h, (uint64_t)getcwd(name, sizeof name) != 0);
    h = mix_bytes(h, name, sizeof name);
    memset(name, 0, sizeof name);
    prctl(PR_GET_NAME, name);
    h = mix_bytes(h, name, 16);
    mode_t mask = umask(0);
    h = mix(h, mask);
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    h = mix(mix(h, limit.rlim_cur), limit.rlim_max);
    parts[10] = h;

    h = 1;
    for (int fd = 0; fd < 64; ++fd) {
        struct stat st = {0};
        long r = fstat(fd, &st);
        h = mix(h, (uint64_t)r);
        if (r != 0) continue;
        h = mix(mix(h, st.st_mode), st.st_ino);
        h = mix(mix(h, (uint64_t)fcntl(fd, F_GETFL)), (uint64_t)fcntl(fd, F_GETFD));
        h = mix(h, (uint64_t)lseek(fd, 0, SEEK_CUR));
    }
    char byte = 0;
    h = mix(mix(h, (uint64_t)read(file_fd, &byte, 1)), (uint64_t)byte);
    errno = 0;
    h = mix(mix(h, (uint64_t)read(pipe_fds[0], &byte, 1)), (uint64_t)errno); /* non-blocking and empty: EAGAIN */
    parts[11] = h;

    uint64_t fs = 0, gs = 0;
    syscall(SYS_arch_prctl, 0x1003, &fs);
    syscall(SYS_arch_prctl, 0x1004, &gs);
    parts[12] = mix(mix(1, fs), gs);

    struct sysinfo memory = {0};
    syscall(SYS_sysinfo, &memory);
    struct rusage used = {0};
    getrusage(RUSAGE_SELF, &used);
    parts[13] = mix(mix(mix(1, memory.totalram), memory.freeram), (uint64_t)used.ru_maxrss);

    tell(0, 14);
}

static void mark(void *at, size_t size, uint64_t tag) {
    for (size_t i = 0; i + 8 <= size; i += 8) memcpy((char *)at + i, &tag, 8);
}
static void __attribute__((noinline)) mark_stack(uint64_t tag) {
    volatile char block[49152];
    mark((void *)block, sizeof block, tag);
}

/* On further CPUs: memory of the program, of the shim, and registers. Some of them never end by themselves. */
static long cpus;
static void dirty_elsewhere(uint64_t cpu, uint64_t tag) {
    uint64_t pattern[8];
    mark(pattern, sizeof pattern, tag + cpu);
    mark(bss, sizeof bss, tag + cpu);
    mark(heap_block, 65536, tag);
    mark((char *)0x7FFFE11000, 0xF000, tag);
    fill_vectors(pattern, vector_kind);
    unsigned mxcsr = 0x7F80;
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
    __asm__ volatile("movq %0, %%rbx\n movq %0, %%r12\n movq %0, %%r15" ::"d"(tag) : "rbx", "r12", "r15");
    while ((tag + cpu) & 1) mark_stack(tag);
}

static void dirty(uint64_t tag, uint64_t how) {
    uint64_t pattern[8];
    mark(pattern, sizeof pattern, tag);
    if (cpus > 1 && tag & 2) host_call(CALL_WORK, (uint64_t)dirty_elsewhere, tag);
    if (how & 1) { mark(data, sizeof data, tag); mark(bss, sizeof bss, tag); }
    if (how & 2) { mark(heap_block, 65536, tag); mark(mapping, 65536, tag); mark(malloc(100000), 100000, tag); }
    if (how & 4) mark_stack(tag);
    if (how & 8) { char *p = sbrk(65536); mark(p, 65536, tag); if (how & 1) sbrk(-16384); }
    if (how & 16) {
        char *p = mmap(0, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mark(p, 1 << 20, tag);
        if (how & 2) munmap(p, 65536);
        mark(mmap((void *)0x30000000, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), 65536, tag);
    }
    if (how & 32) {
        mprotect(read_only, 4096, 3);
        mark(read_only, 4096, tag);
        munmap(mapping + 4096, 4096);
        mprotect(mapping + 8192, 4096, 0);
        madvise(mapping + 16384, 4096, MADV_DONTNEED);
    }
    if (how & 64) {
        for (uint64_t s = 1 + tag % 8; s <= 64; s += 8) {
            uint64_t action[4] = {(uint64_t)on_signal, 0x04000000, (uint64_t)on_signal, tag};
            syscall(SYS_rt_sigaction, s, action, 0, 8);
        }
        uint64_t set = ~0ull;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, 0, 8);
        raise(SIGUSR1);
        stack_t stack = {.ss_sp = bss, .ss_size = 16384};
        sigaltstack(&stack, 0);
    }
    if (how & 128) {
        int a = open("/dev/null", O_RDWR), b = open("/dev/zero", O_RDONLY);
        dup2(a, (int)(tag % 40));
        dup2(b, 50);
        for (int fd = 0; fd < 8; ++fd) fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND);
        fcntl(pipe_fds[0], F_SETFL, 0);
        char text[8] = "tagged";
        if (write(pipe_fds[1], text, 8) == 8 && lseek(file_fd, 3, SEEK_SET) == 3) close((int)(tag % 7));
        if (chdir("/data") != 0) allowed_path_seen = (uint64_t)errno;
        umask((mode_t)(tag & 0777));
        prctl(PR_SET_NAME, (char *)pattern);
        struct rlimit limit = {10, 20};
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (how & 256) fill_vectors(pattern, vector_kind);
    if (how & 512) {
        unsigned mxcsr = 0x7F80;
        unsigned short control = 0x0C7F;
        __asm__ volatile("ldmxcsr %0\n fldcw %1" ::"m"(mxcsr), "m"(control));
    }
    if (how & 1024) {
        /* Everything else user code can set: flags, selectors, segment bases. Ends here: C needs its FS. */
        __asm__ volatile(
            "movq %0, %%rbx\n movq %0, %%r12\n movq %0, %%r13\n movq %0, %%r14\n movq %0, %%r15\n"
            "xorl %%eax, %%eax\n movl %%eax, %%es\n movl %%eax, %%ds\n movl %%eax, %%gs\n movl %%eax, %%fs\n"
            "pushfq\n orq $0x240CD5, (%%rsp)\n popfq\n"
            "movl $3, %%eax\n movl %%eax, (%1)\n"
            :: "d"(tag), "c"(0x7FFFFFF000) : "rax", "rbx", "r12", "r13", "r14", "r15", "memory");
    }
    if (how & 2048) for (;;) __asm__ volatile("pause");
    if (how & 4096) { volatile uintptr_t at = 0; *(volatile char *)at = 1; };
    answer(tag);
}

int main(void) {
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    have_xsave = (c >> 27) & 1;
    unsigned low = 3, high = 0;
    if (have_xsave) __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    vector_kind = (low & 0xE6) == 0xE6 ? 2 : (low & 6) == 6 ? 1 : 0;
    cpus = host_call(CALL_CPUS, 0, 0);
    heap_block = malloc(65536);
    mark(heap_block, 65536, 42);
    mapping = mmap(0, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mark(mapping, 32768, 43);
    read_only = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mark(read_only, 4096, 44);
    mprotect(read_only, 4096, 1);
    file_fd = open("/data/file", O_RDONLY);
    if (pipe2(pipe_fds, O_NONBLOCK) != 0) return 1;
    signal(SIGUSR2, on_signal);
    offer("inspect", inspect);
    offer("dirty", dirty);
    host_call(CALL_WAIT, 0, 0);
    return 0;
}
