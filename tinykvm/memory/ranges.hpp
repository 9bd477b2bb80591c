// Ranges of a guest's memory that are not guest addresses (those are GuestRange), and how lists of ranges are joined.
// Plain values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm {

// Guest-physical memory [begin, end): byte offsets from x86::window_base.
struct PhysicalRange {
    std::uint64_t begin = 0, end = 0;

    std::uint64_t size() const { return end - begin; }
    bool empty() const { return begin == end; }
    bool operator==(const PhysicalRange&) const = default;
};

// `size` bytes of a file from `file_offset` on, and where they are in guest-physical memory.
struct FileExtent {
    std::uint64_t offset = 0, size = 0, file_offset = 0;

    std::uint64_t end() const { return offset + size; }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(offset, size, file_offset);
    }
    bool operator==(const FileExtent&) const = default;
};

// Guest addresses [begin, end), which are in guest-physical memory from `offset` on.
struct PlacedRange {
    GuestAddr begin = 0, end = 0;
    std::uint64_t offset = 0;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(begin, end, offset);
    }
    bool operator==(const PlacedRange&) const = default;
};

// Sorts ranges, and merges two neighbours when joins(first, second).
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
