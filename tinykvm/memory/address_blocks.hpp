// Which part of the window stands behind a guest address: decided for a 2 MiB block of addresses when it first
// becomes accessible, and never changed while the VM lives.
// A plain value: snapshots carry it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm {

class AddressBlocks {
  public:
    struct Run {  // guest addresses [begin, end) stand at window offset `offset` and on
        GuestAddr begin, end;
        std::uint64_t offset;
    };

    // [begin, end) must be made of whole blocks without a place yet.
    void add(GuestAddr begin, GuestAddr end, std::uint64_t offset);

    // The run that contains the address.
    const Run* find(GuestAddr address) const;
    // The first block-aligned range in [begin, end) without a place; empty range (begin == end) when there is none.
    Run missing(GuestAddr begin, GuestAddr end) const;

    const std::vector<Run>& runs() const { return runs_; }
    // Bytes of guest addresses in all of them.
    std::uint64_t size() const;

  private:
    std::vector<Run> runs_;  // sorted, disjoint, neighbours that continue each other merged
};

}  // namespace tinykvm
