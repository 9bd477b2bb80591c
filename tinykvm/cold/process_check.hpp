// Is a process that was read from a file one that a program can have? What the host takes for granted, because no guest
// can make it otherwise, is checked here.
//
// Thread safety: one thread. Errors: Malformed says what is wrong.
#pragma once

#include <cstddef>

#include "tinykvm/linux/state.hpp"
#include "tinykvm/memory/regions.hpp"
#include "tinykvm/options.hpp"

namespace tinykvm::cold {

// Requires that the process has its file system.
void check_process(const linux_abi::ProcessState& process, const Regions& regions, const Options& options,
                   std::size_t vector_state_size);

// Registers with which user code may go on. Returns those with the flags that it may have.
Registers check_registers(Registers registers);

}  // namespace tinykvm::cold
