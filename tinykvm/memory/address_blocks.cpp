#include "tinykvm/memory/address_blocks.hpp"

#include <algorithm>

namespace tinykvm {

namespace {
constexpr GuestAddr block_floor(GuestAddr address) { return address & ~GuestAddr{large_page_size - 1}; }
}  // namespace

const PlacedRange* AddressBlocks::find(GuestAddr address) const {
    auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                  [](GuestAddr a, const PlacedRange& range) { return a < range.begin; });
    if (after == ranges_.begin()) return nullptr;
    const PlacedRange& range = *std::prev(after);
    return address < range.end ? &range : nullptr;
}

GuestRange AddressBlocks::missing(GuestAddr begin, GuestAddr end) const {
    begin = block_floor(begin);
    end = block_floor(end + large_page_size - 1);
    while (begin < end) {
        const PlacedRange* range = find(begin);
        if (!range) break;
        begin = range->end;
    }
    if (begin >= end) return {end, end};
    auto next = std::lower_bound(ranges_.begin(), ranges_.end(), begin,
                                 [](const PlacedRange& range, GuestAddr a) { return range.begin < a; });
    if (next != ranges_.end()) end = std::min(end, next->begin);
    return {begin, end};
}

std::uint64_t AddressBlocks::size() const {
    std::uint64_t size = 0;
    for (const PlacedRange& range : ranges_) size += range.end - range.begin;
    return size;
}

void AddressBlocks::add(GuestAddr begin, GuestAddr end, std::uint64_t offset) {
    auto next = std::lower_bound(ranges_.begin(), ranges_.end(), begin,
                                 [](const PlacedRange& range, GuestAddr a) { return range.begin < a; });
    if (next != ranges_.begin()) {
        PlacedRange& before = *std::prev(next);
        if (before.end == begin && before.offset + (before.end - before.begin) == offset) {
            before.end = end;
            return;
        }
    }
    ranges_.insert(next, {begin, end, offset});
}

}  // namespace tinykvm
