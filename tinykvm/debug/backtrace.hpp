// Where a program was when it crashed, as text.
//
// Thread safety: the thread that runs the guest, while it stands still.
#pragma once

#include <string>
#include <vector>

#include "tinykvm/elf/loader.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/registers.hpp"

namespace tinykvm::debug {

// One line a frame: "#0 0x401136 main+0x16 (/path/program)". The first frame is certain; the others are return
// addresses found by frame pointers or, where these lead nowhere, by looking at the stack ("?": may be stale).
// The work is bounded, and nothing in the guest makes it fail.
std::string backtrace(const GuestMemory& memory, const Registers& registers,
                      const std::vector<elf::LoadedProgram>& programs);

}  // namespace tinykvm::debug
