// Types every part of the library uses: guest addresses, pages, protections, deadlines.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tinykvm {

// A virtual address inside the guest. Never a host pointer: only GuestMemory turns it into one.
using GuestAddr = std::uint64_t;

inline constexpr std::size_t page_size = 4096;
inline constexpr std::size_t large_page_size = std::size_t{2} << 20;

constexpr std::uint64_t page_floor(std::uint64_t value) { return value & ~std::uint64_t{page_size - 1}; }
// Wraps to 0 for the last page of the address space: check the range before rounding.
constexpr std::uint64_t page_ceil(std::uint64_t value) { return page_floor(value + page_size - 1); }

// What a guest may do with a page. Execute without read is granted as read and execute, as on x86-64.
struct Protection {
    bool read = false;
    bool write = false;
    bool execute = false;

    bool accessible() const { return read || write || execute; }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(read, write, execute);
    }
    bool operator==(const Protection&) const = default;
};

// The number of an in-memory file of a guest, which is also its inode number. 0: none.
using FileId = std::uint32_t;

// The moment until which guest code may run or a host call made for it may block.
using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

// Guest addresses [begin, end).
struct GuestRange {
    GuestAddr begin = 0, end = 0;

    bool overlaps(GuestAddr from, GuestAddr to) const { return from < end && begin < to; }
    bool operator==(const GuestRange&) const = default;
};

}  // namespace tinykvm
