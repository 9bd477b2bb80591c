// The pages through which threads hand over to each other inside of a guest, as the host sees them. The other side is
// shim.S: while `lent` is set, it saves and loads the registers of threads there.
//
// The guest can write anything there at any time, so nothing that is read here is believed: what it says of its threads
// is checked like a signal frame (linux/lent_threads.cpp).
//
// Thread safety: used while the guest stands still.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tinykvm/x86/layout.hpp"
#include "tinykvm/x86/shim_ports.h"

namespace tinykvm::x86 {

struct HandOverEntry {
    std::uint32_t state, bits;  // ENTRY_WAITS and so on
    std::uint64_t address;
};

// Of a thread that does not run and is in a system call that returns 0.
struct HandOverContext {
    std::array<std::byte, CONTEXT_REGISTERS> vectors;  // an XSAVE image in the standard format
    std::uint64_t rbx, rbp, rip, rsp, rdx, rsi, rdi, r8, r9, r10, r12, r13, r14, r15, fs_base, gs_base;
    std::array<std::byte, CONTEXT_SIZE - CONTEXT_REGISTERS - 16 * 8> unused;
};

struct HandOverPages {
    static constexpr std::size_t places = (hand_over_size - HAND_OVER_CONTEXTS) / CONTEXT_SIZE;

    std::uint32_t lent;        // may the shim hand over?
    std::uint32_t armed;       // will the time slice of the running thread end?
    std::uint32_t others;      // are there threads, not here, that could run?
    std::uint32_t current;     // offset of the running thread's entry
    std::uint32_t end;         // size of the entries
    std::uint32_t components;  // of vector registers, as in XCR0
    std::uint32_t yields;
    std::uint32_t traps;  // system calls that were made with SYSCALL
    std::uint64_t work[3];
    std::byte unused_too[HAND_OVER_ENTRIES - 56];
    HandOverEntry entries[places];
    std::byte rest[HAND_OVER_CONTEXTS - HAND_OVER_ENTRIES - places * ENTRY_SIZE];
    HandOverContext contexts[places];
};
static_assert(sizeof(HandOverEntry) == ENTRY_SIZE && sizeof(HandOverContext) == CONTEXT_SIZE);
static_assert(offsetof(HandOverPages, entries) == HAND_OVER_ENTRIES &&
              offsetof(HandOverPages, contexts) == HAND_OVER_CONTEXTS && sizeof(HandOverPages) <= hand_over_size);
static_assert(offsetof(HandOverPages, lent) == HAND_OVER_LENT && offsetof(HandOverPages, armed) == HAND_OVER_ARMED &&
              offsetof(HandOverPages, others) == HAND_OVER_OTHERS &&
              offsetof(HandOverPages, current) == HAND_OVER_CURRENT && offsetof(HandOverPages, end) == HAND_OVER_END &&
              offsetof(HandOverPages, components) == HAND_OVER_COMPONENTS &&
              offsetof(HandOverPages, yields) == HAND_OVER_YIELDS &&
              offsetof(HandOverPages, traps) == HAND_OVER_TRAPS && offsetof(HandOverPages, work) == HAND_OVER_RBX);

}  // namespace tinykvm::x86
