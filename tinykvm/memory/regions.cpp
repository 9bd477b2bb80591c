#include "tinykvm/memory/regions.hpp"

#include <algorithm>
#include <utility>

namespace tinykvm {

namespace {

// Is `b`, which begins where `a` ends, the same mapping as far as Linux tells?
bool continues(const Region& a, const Region& b) {
    MappingTraits expected = a.traits;
    if (expected.inode != 0) expected.offset += a.end - a.begin;
    return a.protection == b.protection && a.name == b.name && a.file == b.file && expected == b.traits &&
           a.shared_file == b.shared_file && (a.shared_file == 0 || a.file_offset + (a.end - a.begin) == b.file_offset);
}

}  // namespace

void Regions::split(GuestAddr at) {
    auto after = regions_.upper_bound(at);
    if (after == regions_.begin()) return;
    Region& region = std::prev(after)->second;
    if (region.begin >= at || region.end <= at) return;
    Region upper = region;
    upper.begin = at;
    if (upper.traits.inode != 0) upper.traits.offset += at - region.begin;
    if (upper.shared_file != 0) upper.file_offset += at - region.begin;
    region.end = at;
    regions_.emplace_hint(after, at, std::move(upper));
}

void Regions::merge_around(GuestAddr begin, GuestAddr end) {
    auto it = regions_.lower_bound(begin);
    if (it != regions_.begin()) --it;
    while (it != regions_.end()) {
        auto next = std::next(it);
        if (next == regions_.end() || next->first > end) return;
        Region& a = it->second;
        Region& b = next->second;
        if (a.end == b.begin && continues(a, b)) {
            a.end = b.end;
            regions_.erase(next);
        } else {
            it = next;
        }
    }
}

void Regions::insert(Region region) {
    const GuestAddr begin = region.begin, end = region.end;
    erase(begin, end);
    region.traits.was_writable = region.names_file() && region.protection.write;
    regions_.emplace(begin, std::move(region));
    merge_around(begin, end);
}

void Regions::erase(GuestAddr begin, GuestAddr end) {
    split(begin);
    split(end);
    regions_.erase(regions_.lower_bound(begin), regions_.lower_bound(end));
}

void Regions::protect(GuestAddr begin, GuestAddr end, Protection protection) {
    split(begin);
    split(end);
    for (auto it = regions_.lower_bound(begin); it != regions_.end() && it->first < end; ++it) {
        it->second.protection = protection;
        if (protection.write && it->second.names_file()) it->second.traits.was_writable = true;
    }
    merge_around(begin, end);
}

void Regions::mark(GuestAddr begin, GuestAddr end, const std::function<void(MappingTraits&)>& change) {
    split(begin);
    split(end);
    for (auto it = regions_.lower_bound(begin); it != regions_.end() && it->first < end; ++it)
        change(it->second.traits);
    merge_around(begin, end);
}

const Region* Regions::find(GuestAddr address) const {
    auto after = regions_.upper_bound(address);
    if (after == regions_.begin()) return nullptr;
    const Region& region = std::prev(after)->second;
    return address < region.end ? &region : nullptr;
}

std::map<GuestAddr, Region>::const_iterator Regions::first_ending_after(GuestAddr address) const {
    const auto after = regions_.upper_bound(address);
    return after != regions_.begin() && address < std::prev(after)->second.end ? std::prev(after) : after;
}

bool Regions::covered(GuestAddr begin, GuestAddr end) const {
    while (begin < end) {
        const Region* region = find(begin);
        if (!region) return false;
        begin = region->end;
    }
    return true;
}

bool Regions::overlaps(GuestAddr begin, GuestAddr end) const {
    auto after = regions_.lower_bound(end);
    return after != regions_.begin() && std::prev(after)->second.end > begin;
}

std::optional<GuestAddr> Regions::find_free(std::size_t size, GuestAddr low, GuestAddr high,
                                            std::size_t alignment) const {
    if (size == 0 || high <= low || size > high - low) return std::nullopt;
    auto fit = [&](GuestAddr gap_begin, GuestAddr gap_end) -> std::optional<GuestAddr> {
        gap_begin = std::max(gap_begin, low);
        gap_end = std::min(gap_end, high);
        if (gap_end <= gap_begin || gap_end - gap_begin < size) return std::nullopt;
        GuestAddr address = (gap_end - size) & ~GuestAddr{alignment - 1};
        return address >= gap_begin ? std::optional(address) : std::nullopt;
    };
    GuestAddr gap_end = high;
    for (auto it = regions_.rbegin(); it != regions_.rend() && gap_end > low; ++it) {
        if (auto found = fit(it->second.end, gap_end)) return found;
        gap_end = std::min(gap_end, it->second.begin);
    }
    return fit(low, gap_end);
}

}  // namespace tinykvm
