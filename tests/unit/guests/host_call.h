// Calls of the library's own test guests to their test (tests/unit/booted_guest.hpp). Not the guest API.
#pragma once

#include <stdint.h>

enum {
    CALL_OFFER = 1,   // offer(name, function): the test may call it
    CALL_WAIT = 2,    // wait(): frozen here
    CALL_ANSWER = 3,  // answer(value): ends the call
    CALL_NOTE = 4,    // note(value): goes on
    CALL_PAIR = 5,    // pair(value): value + 1 and value + 2
    CALL_WORK = 6,    // work(function, argument): function(cpu, argument) on all further CPUs
    CALL_AWAIT = 7,   // await(): the end of that
    CALL_CLONE = 8,   // clone(stacks, size): further CPUs go on here, too; which CPU this is
    CALL_CPUS = 9,    // cpus(): how many there are
};

static inline long host_call(uint32_t number, uint64_t a, uint64_t b) {
    long result = number;
    register uint64_t host __asm__("r10") = 0x7FFFE04800;
    __asm__ volatile("leaq 1f(%%rip), %%r11\n\tjmp *%[host]\n1:"
                     : "+a"(result), [host] "+r"(host)
                     : "D"(a), "S"(b)
                     : "r11", "cc", "memory");
    return result;
}

// A call with two values.
static inline long host_call_2(uint32_t number, uint64_t a, uint64_t *second) {
    long result = number;
    register uint64_t host __asm__("r10") = 0x7FFFE04800;
    __asm__ volatile("leaq 1f(%%rip), %%r11\n\tjmp *%[host]\n1:"
                     : "+a"(result), "+d"(*second), [host] "+r"(host)
                     : "D"(a)
                     : "r11", "cc", "memory");
    return result;
}

static inline void offer(const char *name, void *function) {
    host_call(CALL_OFFER, (uint64_t)name, (uint64_t)function);
}
static inline void answer(uint64_t value) { host_call(CALL_ANSWER, value, 0); }
