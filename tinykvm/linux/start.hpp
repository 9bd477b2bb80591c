// The stack a program finds when it starts: arguments, environment and the auxiliary vector (System V ABI for x86-64,
// 3.4.1).
//
// Thread safety: the thread that makes the guest.
#pragma once

#include <cstdint>
#include <string>

#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// What the loader knows about the program, and what the processor can.
struct StartInfo {
    GuestAddr entry = 0;    // of the program itself, even when an interpreter runs first
    GuestAddr headers = 0;  // its program headers in memory
    std::uint16_t header_count = 0;
    GuestAddr interpreter_base = 0;            // where the dynamic loader is; 0: none
    std::string program_path;                  // AT_EXECFN
    GuestAddr stack_begin = 0, stack_end = 0;  // mapped readable and writable
    std::uint64_t hwcap = 0, hwcap2 = 0;       // CPUID 1 EDX; AT_HWCAP2: bit 1 is FSGSBASE
    std::uint64_t signal_stack_size = 2048;    // AT_MINSIGSTKSZ: frame and XSAVE image
};

inline constexpr std::size_t random_size = 16;

struct InitialStack {
    GuestAddr pointer = 0;         // to start with: it points at argc and is a multiple of 16
    GuestAddr entry_word = 0;      // where AT_ENTRY's value is on the stack
    GuestAddr random = 0;          // where the random bytes of AT_RANDOM are, random_size of them
    std::string auxiliary_vector;  // as it is on the stack
};

// Writes everything below `stack_end`. Arguments are options.program_name and options.arguments. Throws LoadError when
// arguments and environment take more than a quarter of the stack, as Linux does, or an argument more than
// options.argument_room.
InitialStack build_initial_stack(GuestMemory& memory, const Options& options, const StartInfo& info);

}  // namespace tinykvm::linux_abi
