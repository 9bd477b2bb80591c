// The registers of x86-64 as GDB knows them: its description of the target, and their places in a thread's.
// Source: "Debugging with GDB", appendix G (target descriptions), and the Intel SDM volume 1, 10.5 and 13.4 (XSAVE).
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/debug/debugger.hpp"

namespace tinykvm::debug {

// The XML that tells GDB which registers there are.
std::string target_description(bool has_avx);

std::size_t gdb_register_count(bool has_avx);
// The bytes of register `number` of that description, which must be below the count.
std::vector<std::byte> gdb_register(const ThreadRegisters& registers, std::size_t number);
// Sets it, as far as it is one that can be set: the others stay as they are. False when there are too few bytes.
[[nodiscard]] bool set_gdb_register(ThreadRegisters& registers, std::size_t number, std::span<const std::byte> bytes);
std::size_t gdb_register_size(std::size_t number);

}  // namespace tinykvm::debug
