// Where in guest-physical memory a guest address is: decided for a 2 MiB block of addresses when it first becomes
// accessible, and never changed while the VM lives.
//
// A plain value, of which snapshots keep a copy. Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinykvm/memory/ranges.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class AddressBlocks {
  public:
    // Places [begin, end), which must consist of whole blocks that have no place yet, at `offset` of guest-physical
    // memory.
    void add(GuestAddr begin, GuestAddr end, std::uint64_t offset);

    // The range that contains the address; null when the address has no place.
    const PlacedRange* find(GuestAddr address) const;
    // The first block-aligned range in [begin, end) without a place; an empty one (begin == end) when there is none.
    GuestRange missing(GuestAddr begin, GuestAddr end) const;

    const std::vector<PlacedRange>& ranges() const { return ranges_; }
    // Bytes of guest addresses in all of them.
    std::uint64_t size() const;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(ranges_);
    }

  private:
    std::vector<PlacedRange> ranges_;  // sorted, disjoint; neighbours that continue each other are one
};

}  // namespace tinykvm
