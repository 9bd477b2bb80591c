// Fresh random bytes from the host. Any thread. Throws MachineError.
#pragma once

#include <cstddef>
#include <span>

namespace tinykvm::linux_abi {

void fill_random(std::span<std::byte> bytes);

}  // namespace tinykvm::linux_abi
