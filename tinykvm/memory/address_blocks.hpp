// Where in guest-physical memory a guest address is: decided for a 2 MiB block of addresses when it first becomes
// accessible, and never changed while the VM lives.
// A plain value: snapshots carry it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinykvm/memory/ranges.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class AddressBlocks {
  public:
    // [begin, end) must be made of whole blocks without a place yet.
    void add(GuestAddr begin, GuestAddr end, std::uint64_t offset);

    // The range that contains the address; null when the address has no place.
    const PlacedRange* find(GuestAddr address) const;
    // The first block-aligned range in [begin, end) without a place; an empty one (begin == end) when there is none.
    GuestRange missing(GuestAddr begin, GuestAddr end) const;

    const std::vector<PlacedRange>& ranges() const { return ranges_; }
    // Bytes of guest addresses in all of them.
    std::uint64_t size() const;

  private:
    std::vector<PlacedRange> ranges_;  // sorted, disjoint; neighbours that continue each other are one
};

}  // namespace tinykvm
