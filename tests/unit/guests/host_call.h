// Calls of the library's own test guests to their test (tests/unit/booted_guest.hpp). Not the guest API.
#pragma once

#include <stdint.h>

enum {
    CALL_OFFER = 1,   // offer(name, function): the test may call it
    CALL_WAIT = 2,    // wait(): frozen here
    CALL_ANSWER = 3,  // answer(value): ends the call
    CALL_NOTE = 4,    // note(value): goes on
};

static inline long host_call(uint32_t number, uint64_t a, uint64_t b) {
    long result;
    __asm__ volatile("movl %%eax, (%4)"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "r"(0x7FFFFFF000)
                     : "memory");
    return result;
}

static inline void offer(const char *name, void *function) {
    host_call(CALL_OFFER, (uint64_t)name, (uint64_t)function);
}
static inline void answer(uint64_t value) { host_call(CALL_ANSWER, value, 0); }
