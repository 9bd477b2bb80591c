// What the memory calls share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// May a guest have a mapping there? The range must not be empty or wrap, and not touch the system block.
bool is_user_range(GuestAddr begin, std::uint64_t size);
Protection to_protection(int protection);
// Does it show a file? What else the file has is not in our copy.
bool is_file_copy(const Region& region);

}  // namespace tinykvm::linux_abi
