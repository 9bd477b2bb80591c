// The guest addresses whose mappings a request changed, in the order in which it did.
//
// Thread safety: one thread at a time; several objects may be used at once.
#pragma once

#include <cstddef>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm {

class RemappedRanges {
  public:
    RemappedRanges() = default;
    ~RemappedRanges() { clear(); }
    RemappedRanges(const RemappedRanges&) = delete;
    RemappedRanges& operator=(const RemappedRanges&) = delete;

    void add(GuestAddr begin, GuestAddr end);
    void clear();
    // Are there more than a request may have, or than all VMs of the process may have together? The first depends on
    // nothing but what was added since clear().
    bool are_too_many() const;
    // In order, those that touch as one.
    std::vector<GuestRange> joined() const;

  private:
    void count();

    std::vector<GuestRange> ranges_;
    std::size_t counted_ = 0;    // how many of these are in the count of the process
    std::size_t merge_at_ = 64;  // the length at which they are joined
};

}  // namespace tinykvm
