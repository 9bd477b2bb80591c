// How much memory a guest may have, and which of its addresses only some mappings get. Plain values.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm {

struct MemoryLimits {
    std::size_t bytes = 0;                                       // what may be changed or added
    std::string name;                                            // the configuration key that says so
    std::size_t address_space = 0;                               // accessible guest addresses, bytes
    std::size_t kept = std::numeric_limits<std::size_t>::max();  // what a reset may leave resident, bytes
    std::vector<GuestRange> on_request{};                        // addresses that only mappings get which ask for them
    std::vector<GuestRange> closed{};                            // addresses where nothing is mapped: ENOMEM
};

}  // namespace tinykvm
