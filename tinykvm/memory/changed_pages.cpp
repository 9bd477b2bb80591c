#include "tinykvm/memory/changed_pages.hpp"

#include <cstring>

#include "tinykvm/errors.hpp"
#include "tinykvm/memory/host_page.hpp"
#include "tinykvm/memory/remapped_ranges.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// A page that none of so many requests changed is given back. Keeping it costs 0.1 to 0.4 us at every reset, touching
// it again 25 us. After 64 resets the two are equal, so the guess never costs more than twice what the best choice
// would.
constexpr unsigned period = 64;
// What a fork gets copies of before its first request: more would make forks expensive that may never need them all.
constexpr std::size_t most_made_own = std::size_t{16} << 20;
constexpr std::uint64_t system_pages = large_page_size / page_size;
constexpr GuestRange all_addresses{0, x86::user_end};

}  // namespace

// --- Accounting

void ChangedPages::note_guest_writes(std::span<const std::uint64_t> pages) {
    for (const std::uint64_t page : pages)
        if (page >= system_pages && !addresses_.shared().holds_page(page)) own_.add(page);
    note_peak();
}

void ChangedPages::will_write(PhysicalRange range) {
    if (range.empty() || addresses_.shared().holds_page(range.begin / page_size)) return;
    const std::uint64_t first = range.begin / page_size, last = (range.end - 1) / page_size + 1;
    const auto is_too_much = [&] { return (own_pages() + own_.missing(first, last)) * page_size > limits_.bytes; };
    if (is_too_much()) {
        drop_unchanged(all_addresses);
        if (is_too_much()) throw OutOfMemory(limits_.name, limits_.bytes);
    }
    for (std::uint64_t page = first; page < last; ++page) own_.add(page);
    note_peak();
}

void ChangedPages::enforce_limit() {
    if (own_bytes() <= limits_.bytes) return;
    drop_unchanged(all_addresses);
    if (own_bytes() > limits_.bytes) throw OutOfMemory(limits_.name, limits_.bytes);
}

std::size_t ChangedPages::changed_bytes() const {
    const std::size_t unchanged = image_ ? unchanged_pages(all_addresses).size() : 0;
    return own_bytes() - unchanged * page_size;
}

void ChangedPages::drop_unchanged(GuestRange range) {
    const std::vector<std::uint64_t> unchanged = unchanged_pages(range);
    give_back(unchanged);
    unchanged_ += unchanged.size();
}

bool ChangedPages::is_unchanged(std::uint64_t page) const {
    const std::byte* now = physical_.host(page * page_size);
    const std::byte* base = image_ ? image_->page(page) : nullptr;
    return base ? std::memcmp(now, base, page_size) == 0 : is_zero(now);
}

std::vector<std::uint64_t> ChangedPages::unchanged_pages(GuestRange range) const {
    const std::vector<GuestRange> remapped = addresses_.remapped().joined();
    const auto is_remapped = [&](GuestAddr address) {
        const auto found = std::upper_bound(remapped.begin(), remapped.end(), address,
                                            [](GuestAddr a, const GuestRange& r) { return a < r.end; });
        return found != remapped.end() && found->begin <= address;
    };
    std::vector<std::uint64_t> unchanged;
    const auto look_at = [&](PhysicalRange piece, GuestAddr address) {
        own_.for_each(piece.begin / page_size, piece.end / page_size, [&](std::uint64_t page) {
            // Dropping the private copy must bring back what was compared with; where the mapping was changed that is
            // certain for zero pages only.
            if (image_ && image_->page(page) && is_remapped(address + (page * page_size - piece.begin))) return;
            if (is_unchanged(page)) unchanged.push_back(page);
        });
    };
    const Regions& regions = addresses_.regions();
    for (auto entry = regions.first_ending_after(range.begin); entry != regions.end() && entry->first < range.end;
         ++entry) {
        const Region& region = entry->second;
        if (region.begin >= x86::system_begin && region.begin < x86::system_end) continue;
        // Pages that cannot be read were written by this request: GuestMemory::protect() has given back all others. A
        // page of a file that is given back shows the file, not zero.
        if (!region.protection.accessible() || region.file) continue;
        addresses_.for_each_piece({std::max(range.begin, region.begin), std::min(range.end, region.end)}, look_at);
    }
    if (range == all_addresses)
        for (const std::uint64_t block : addresses_.file_blocks())
            own_.for_each(block / page_size, (block + large_page_size) / page_size, [&](std::uint64_t page) {
                if (is_unchanged(page)) unchanged.push_back(page);
            });
    return unchanged;
}

// Gives neighbours in `pages` back with one call each.
void ChangedPages::give_back(const std::vector<std::uint64_t>& pages) {
    for (std::size_t i = 0; i < pages.size();) {
        const std::uint64_t first = pages[i];
        std::uint64_t last = first;
        while (i < pages.size() && pages[i] == last) ++i, ++last;
        physical_.drop_changes(first * page_size, (last - first) * page_size);
        own_.remove(first, last);
    }
}

// --- What the next forks will write

std::vector<PlacedRange> ChangedPages::own_ranges() const {
    std::vector<PlacedRange> ranges;
    for (const auto& entry : addresses_.regions()) {
        const Region& region = entry.second;
        if (region.begin >= x86::system_begin && region.begin < x86::system_end) continue;
        if (!region.protection.write || region.file || region.shared_file != 0) continue;
        if (addresses_.shared().overlaps(region.begin, region.end)) continue;
        addresses_.for_each_piece({region.begin, region.end}, [&](PhysicalRange piece, GuestAddr address) {
            own_.for_each(piece.begin / page_size, piece.end / page_size, [&](std::uint64_t page) {
                const std::uint64_t offset = page * page_size;
                const GuestAddr begin = address + (offset - piece.begin);
                ranges.push_back({begin, begin + page_size, offset});
            });
        });
    }
    join_ranges(ranges, [](const PlacedRange& a, const PlacedRange& b) {
        return a.end == b.begin && a.offset + (a.end - a.begin) == b.offset;
    });
    return ranges;
}

std::vector<GuestRange> ChangedPages::make_own(const std::vector<PlacedRange>& ranges) {
    std::vector<GuestRange> made;
    const std::size_t most = std::min({limits_.kept, limits_.bytes / 2, most_made_own}) / page_size;
    for (const PlacedRange& range : ranges) {
        const std::uint64_t pages =
            std::min<std::uint64_t>((range.end - range.begin) / page_size, most - std::min(own_.size(), most));
        if (pages == 0 || !physical_.populate(range.offset, pages * page_size)) break;
        for (std::uint64_t i = 0; i < pages; ++i) own_.add(range.offset / page_size + i);
        made.push_back({range.begin, range.begin + pages * page_size});
    }
    peak_ = own_.size();
    return made;
}

// --- Reset

std::size_t ChangedPages::reset() {
    const bool end_of_period = ++resets_ == period;
    const std::size_t most = std::min(limits_.kept, limits_.bytes) / page_size;
    std::size_t kept = 0, restored = 0;
    std::vector<std::uint64_t> rest;
    const std::size_t own = own_.size();
    // The order is that of guest-physical memory, so that the same pages are kept each time, and the program's own
    // rather than those of the request area.
    own_.for_each([&](std::uint64_t page) {
        const bool unchanged = is_unchanged(page);
        restored += !unchanged;
        if (!unchanged) used_.add(page);
        if (kept == most || (end_of_period && !used_.contains(page))) {
            rest.push_back(page);
            return;
        }
        ++kept;
        if (!unchanged) copy_from_image(page);
    });
    give_back(rest);
    // Pages that are unchanged now, or were unchanged when they were given back, are not counted at all.
    last_peak_ = peak_ - unchanged_ - (own - restored);
    unchanged_ = 0;
    host_pages_ = 0;
    peak_ = own_.size();
    if (end_of_period) {
        used_ = {};
        resets_ = 0;
    }
    return restored;
}

void ChangedPages::copy_from_image(std::uint64_t page) {
    std::byte* host = physical_.host(page * page_size);
    if (const std::byte* base = image_->page(page))
        std::memcpy(host, base, page_size);
    else
        std::memset(host, 0, page_size);
}

bool ChangedPages::resets_quickly() const {
    constexpr std::size_t few_pages = 64;
    return own_.size() <= few_pages && own_bytes() <= limits_.kept;
}

}  // namespace tinykvm
