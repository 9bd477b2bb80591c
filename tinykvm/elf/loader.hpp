// Puts a program, or the dynamic loader it names, into a guest's memory.
//
// Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <memory>
#include <vector>

#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/program.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::elf {

// A program and where it was loaded. The addresses are of the guest.
struct LoadedProgram {
    std::shared_ptr<const Program> program;
    std::uint64_t bias = 0;  // what to add to addresses in the file
    GuestAddr begin = 0, end = 0;

    GuestAddr entry() const { return program->entry() + bias; }
    GuestAddr headers() const { return program->headers_address() ? program->headers_address() + bias : 0; }
};

// The address a position independent program is loaded at, and the lowest one other programs may ask for.
inline constexpr GuestAddr program_base = 0x400000;

// Maps all segments at the program's own addresses or, when it is position independent, from `base` on (0: anywhere
// below the stack). Throws LoadError.
LoadedProgram load(GuestMemory& memory, std::shared_ptr<const Program> program, GuestAddr base);

}  // namespace tinykvm::elf
