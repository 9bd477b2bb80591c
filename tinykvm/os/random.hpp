// Random bytes of the host, always fresh ones.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <span>

namespace tinykvm {

// Throws MachineError when the host has none.
void fill_random(std::span<std::byte> bytes);

}  // namespace tinykvm
