// What the memory calls share.
//
// Thread safety: functions of their arguments.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// May a guest have a mapping there? The range must neither be empty nor wrap nor touch the system block.
bool is_user_range(GuestAddr begin, std::uint64_t size);
Protection to_protection(int protection);
// Gives a new mapping its traits. Returns 0 or a negative errno.
[[nodiscard]] int set_traits(SyscallContext& call, GuestAddr begin, std::uint64_t size, const MappingTraits& traits);
// Has to be called before a mapping of [begin, end) goes: a file may have to go with it.
void note_unmapping(SyscallContext& call, GuestAddr begin, GuestAddr end);

}  // namespace tinykvm::linux_abi
