// The guest addresses whose mappings a request changed, in the order in which it did.
//
// Thread safety: one thread at a time; several objects may be used at once.
#pragma once

#include <algorithm>
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
    // More than a request may have, or more than all VMs of the process together. The first depends on nothing but what
    // was added since clear().
    bool are_too_many() const;
    // In order, those that touch as one.
    std::vector<AddressRange> joined() const;

  private:
    void count();

    std::vector<AddressRange> ranges_;
    std::size_t counted_ = 0;    // of these, as far as the process knows
    std::size_t merge_at_ = 64;  // the length at which they are joined
};

// Puts ranges in order and makes one of those for which joins(one, the next).
template <typename Range, typename Joins>
void join_ranges(std::vector<Range>& ranges, Joins joins) {
    if (ranges.empty()) return;
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
    std::size_t last = 0;
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        if (joins(ranges[last], ranges[i]))
            ranges[last].end = std::max(ranges[last].end, ranges[i].end);
        else
            ranges[++last] = ranges[i];
    }
    ranges.resize(last + 1);
}

}  // namespace tinykvm
