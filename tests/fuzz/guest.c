#define _GNU_SOURCE
// A guest that does what a fuzzer thinks of (calls.cpp, mailbox.cpp). Its host calls are those of the unit tests' guests.
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../unit/guests/host_call.h"

enum { page = 4096, data_pages = 8, most_steps = 32 };

// As in calls.cpp.
struct step {
    uint64_t number, results, arguments[6];  // bit i of `results`: argument i is the result of that step
};

static struct {
    unsigned char data[data_pages * page], read_only[page], inaccessible[page];
    struct step steps[most_steps];
    int64_t results[most_steps];
} area __attribute__((aligned(4096)));

static int64_t system_call(uint64_t number, const uint64_t *a) {
    int64_t result;
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void play(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
        struct step step = area.steps[i];
        for (unsigned a = 0; a < 6; ++a)
            if (step.results >> a & 1) step.arguments[a] = (uint64_t)area.results[step.arguments[a] % most_steps];
        area.results[i] = system_call(step.number, step.arguments);
    }
    answer(0);
}

static uint64_t mix(uint64_t sum, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) sum = (sum ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
    return sum;
}

// What a request finds, in one number: it must be the same for each.
static void state(void) {
    uint64_t sum = mix(14695981039346656037u, &area, sizeof area.data);
    sum = mix(sum, area.steps, sizeof area.steps + sizeof area.results);
    void *end = sbrk(0);
    sum = mix(sum, &end, sizeof end);
    char folder[256] = {0};
    if (getcwd(folder, sizeof folder)) sum = mix(sum, folder, sizeof folder);
    for (int signal = 1; signal <= 64; ++signal) {
        uint64_t action[4] = {0};
        syscall(SYS_rt_sigaction, signal, 0, action, 8);
        sum = mix(sum, action, sizeof action);
    }
    for (int fd = 0; fd < 32; ++fd) {
        const int flags[2] = {fcntl(fd, F_GETFL), fcntl(fd, F_GETFD)};
        sum = mix(sum, flags, sizeof flags);
    }
    const mode_t mask = umask(0);
    sum = mix(sum, &mask, sizeof mask);
    const long threads[2] = {syscall(SYS_gettid), syscall(SYS_set_tid_address, 0)};
    sum = mix(sum, threads, sizeof threads);
    sigset_t blocked, pending;
    memset(&pending, 0, sizeof pending);
    if (sigprocmask(SIG_SETMASK, 0, &blocked) == 0 && sigpending(&pending) == 0) {
        sum = mix(sum, &blocked, 8);
        sum = mix(sum, &pending, 8);
    }
    answer(sum);
}

// Host calls and a return, for the mailbox.
static uint64_t echo(uint64_t value, uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) value += (uint64_t)host_call(CALL_NOTE, value, i);
    return value;
}
static void answer_it(uint64_t value) { answer(value); }

int main(void) {
    mprotect(area.read_only, page, PROT_READ);
    mprotect(area.inaccessible, page, PROT_NONE);
    offer("play", play);
    offer("state", state);
    offer("echo", echo);
    offer("answer", answer_it);
    offer("data", area.data);
    offer("steps", area.steps);
    for (;;) host_call(CALL_WAIT, 0, 0);
}
