// What the memory calls share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tinykvm/linux/call.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// Most mappings a guest may have (vm.max_map_count): each costs the host a little.
inline constexpr std::size_t max_regions = 8192;

// May a guest have a mapping there? The range must not be empty or wrap, and not touch the system block.
bool is_user_range(GuestAddr begin, std::uint64_t size);
Protection to_protection(int protection);
bool too_many_regions(const Call& call);
// Would unmapping the range leave as many mappings as before, or fewer?
bool splits_nothing(const Call& call, GuestAddr begin, std::uint64_t size);

}  // namespace tinykvm::linux_abi
