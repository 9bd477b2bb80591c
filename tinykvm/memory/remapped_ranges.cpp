#include "tinykvm/memory/remapped_ranges.hpp"

#include <algorithm>
#include <atomic>
#include <fstream>

#include "tinykvm/memory/ranges.hpp"

namespace tinykvm {

namespace {

// The most ranges of one VM. Each may add two mappings of the host.
constexpr std::size_t most = 512;

// Ranges of all VMs together, because a process that has no mappings left cannot go on.
std::atomic<std::size_t> ranges_in_process{0};

// How many mappings a process may have (Documentation/admin-guide/sysctl/vm.rst).
std::size_t most_mappings() {
    std::size_t count = 65530;
    std::ifstream("/proc/sys/vm/max_map_count") >> count;
    return count;
}

void join_touching(std::vector<GuestRange>& ranges) {
    join_ranges(ranges, [](const GuestRange& a, const GuestRange& b) { return b.begin <= a.end; });
}

}  // namespace

void RemappedRanges::add(GuestAddr begin, GuestAddr end) {
    if (!ranges_.empty() && ranges_.back().end == begin)
        ranges_.back().end = end;
    else
        ranges_.push_back({begin, end});
    if (ranges_.size() >= merge_at_) {
        // A request may map and unmap the same memory all the time. Joining keeps the list as short as that memory is.
        join_touching(ranges_);
        merge_at_ = std::clamp<std::size_t>(2 * ranges_.size(), 64, most);
    }
    count();
}

void RemappedRanges::clear() {
    ranges_.clear();
    merge_at_ = 64;
    count();
}

void RemappedRanges::count() {
    ranges_in_process += ranges_.size() - counted_;  // modulo the size of the word
    counted_ = ranges_.size();
}

bool RemappedRanges::are_too_many() const {
    static const std::size_t most_in_process = most_mappings() / 4;
    return ranges_.size() >= most || ranges_in_process >= most_in_process;
}

std::vector<GuestRange> RemappedRanges::joined() const {
    std::vector<GuestRange> ranges = ranges_;
    join_touching(ranges);
    return ranges;
}

}  // namespace tinykvm
