// The vDSO of guests: an ELF shared object of at most x86::vdso_max_size bytes, to be mapped readable and
// executable as it is. It reads the clock page at x86::clock_page.
#pragma once

#include <cstddef>
#include <span>

namespace tinykvm::linux_abi {

std::span<const std::byte> vdso_image();

}  // namespace tinykvm::linux_abi
