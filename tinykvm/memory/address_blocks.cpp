#include "tinykvm/memory/address_blocks.hpp"

#include <algorithm>

namespace tinykvm {

namespace {
constexpr GuestAddr block_floor(GuestAddr address) { return address & ~GuestAddr{large_page_size - 1}; }
}  // namespace

const AddressBlocks::Run* AddressBlocks::find(GuestAddr address) const {
    auto after = std::upper_bound(runs_.begin(), runs_.end(), address,
                                  [](GuestAddr a, const Run& run) { return a < run.begin; });
    if (after == runs_.begin()) return nullptr;
    const Run& run = *std::prev(after);
    return address < run.end ? &run : nullptr;
}

AddressBlocks::Run AddressBlocks::missing(GuestAddr begin, GuestAddr end) const {
    begin = block_floor(begin);
    end = block_floor(end + large_page_size - 1);
    while (begin < end) {
        const Run* run = find(begin);
        if (!run) break;
        begin = run->end;
    }
    if (begin >= end) return {end, end, 0};
    auto next =
        std::lower_bound(runs_.begin(), runs_.end(), begin, [](const Run& run, GuestAddr a) { return run.begin < a; });
    if (next != runs_.end()) end = std::min(end, next->begin);
    return {begin, end, 0};
}

std::uint64_t AddressBlocks::size() const {
    std::uint64_t size = 0;
    for (const Run& run : runs_) size += run.end - run.begin;
    return size;
}

void AddressBlocks::add(GuestAddr begin, GuestAddr end, std::uint64_t offset) {
    auto next =
        std::lower_bound(runs_.begin(), runs_.end(), begin, [](const Run& run, GuestAddr a) { return run.begin < a; });
    if (next != runs_.begin()) {
        Run& before = *std::prev(next);
        if (before.end == begin && before.offset + (before.end - before.begin) == offset) {
            before.end = end;
            return;
        }
    }
    runs_.insert(next, {begin, end, offset});
}

}  // namespace tinykvm
