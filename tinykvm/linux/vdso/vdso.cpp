#include "tinykvm/linux/vdso/vdso.hpp"

#include "tinykvm/linux/vdso/clock_page.h"
#include "tinykvm/x86/layout.hpp"

extern "C" {
extern const std::byte tinykvm_vdso_begin[];
extern const std::byte tinykvm_vdso_end[];
}

namespace tinykvm::linux_abi {

static_assert(x86::clock_page == TINYKVM_CLOCK_PAGE_ADDRESS);

std::span<const std::byte> vdso_image() { return {tinykvm_vdso_begin, tinykvm_vdso_end}; }

}  // namespace tinykvm::linux_abi
