// Guest pages in the memory of the host: protection and contents.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tinykvm/types.hpp"

namespace tinykvm {

// The host's protection that gives a guest these rights (no-execute is in guest page tables alone).
inline int host_protection(Protection p) {
    if (p.write) return PROT_READ | PROT_WRITE;
    return p.read || p.execute ? PROT_READ : PROT_NONE;
}

inline bool is_zero(const std::byte* page) {
    std::uint64_t first;
    std::memcpy(&first, page, sizeof first);
    return first == 0 && std::memcmp(page, page + sizeof first, page_size - sizeof first) == 0;
}

}  // namespace tinykvm
