// AddressSpace: the file area, and shared mappings of in-memory files.
//
// An address in such a mapping is an entry of the guest's page tables for a page of the file area. Taking an entry back
// is not enough: a KVM with shadow paging does not look at it again, and CPUs have it in their caches. But KVM drops
// all it knows of a page when the host's mapping of that changes, under whatever address the guest had it; so after the
// entries their pages are protected and made accessible again.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tinykvm/memory/address_space.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

constexpr Protection read_write{.read = true, .write = true};

constexpr GuestAddr block_floor(GuestAddr address) { return address & ~GuestAddr{large_page_size - 1}; }

}  // namespace

bool AddressSpace::grow_file_area(std::uint64_t pages) {
    while (file_blocks_.size() * (large_page_size / page_size) < pages) {
        const auto block = physical_.allocate(large_page_size);
        if (!block) return false;
        physical_.protect(*block, large_page_size, read_write);
        file_blocks_.push_back(*block);
        file_block_set_.add(*block / large_page_size);
    }
    return true;
}

int AddressSpace::map_shared_file(GuestRange range, Protection protection, std::string name, FileId file,
                                  std::uint64_t offset) {
    if (too_many_regions()) return refuse(Refusal::mappings);
    if (shared_.overlaps(range.begin, range.end)) return -EPERM;
    if (is_closed(range.begin, range.end) || !tables_.takes_file_pages(range.begin, range.end - range.begin))
        return -ENOMEM;
    const Change change(*this);
    hide(range);
    note_remapped(range);
    for_each_piece(range, [&](PhysicalRange piece, GuestAddr) { physical_.unmap(piece.begin, piece.size()); });
    has_shared_files_ = true;
    Region region{range.begin, range.end, protection, std::move(name)};
    region.shared_file = file;
    region.file_offset = offset;
    regions_.insert(std::move(region));
    return 0;
}

std::optional<GuestAddr> AddressSpace::find_free_for_file(std::size_t size, GuestAddr hint) const {
    auto found = find_free(size, hint, page_size);
    while (found && !tables_.takes_file_pages(*found, size)) {
        // The next gap below: nothing is at the address, but entries of a mapping that was there before are.
        const GuestAddr below = block_floor(*found + size - 1);
        found = below > x86::user_begin + size ? find_gap(size, x86::user_begin, below, page_size) : std::nullopt;
    }
    return found;
}

bool AddressSpace::is_file_page(std::uint64_t entry) const {
    const auto offset = x86::PageTables::target(entry);
    return offset && file_block_set_.contains(*offset / large_page_size);
}

bool AddressSpace::show_file_page(GuestAddr address, std::uint64_t offset, Protection protection) {
    const GuestAddr block = block_floor(address);
    if (image_ && !shared_blocks_.contains(block)) {
        if (!charge_address_space({block, block + large_page_size})) {
            refusal_ = Refusal::address_space;
            return false;
        }
        shared_blocks_.insert(block);
    }
    const Change change(*this);
    if (protection.execute) executable_added_ = true;
    return tables_.set_page(address, x86::window_base + offset, protection);
}

bool AddressSpace::shows(GuestAddr address, std::uint64_t offset, Protection protection) const {
    const auto entries = tables_.page_entries(address);
    return !entries.empty() && x86::PageTables::shows(entries[x86::PageTables::index_in_block(address)],
                                                      x86::window_base + offset, protection);
}

// The parts of the range that are not in shared mappings of files.
std::vector<GuestRange> AddressSpace::private_parts(GuestRange range) const {
    if (!has_shared_files_) return {range};
    std::vector<GuestRange> parts;
    GuestAddr at = range.begin;
    for (auto entry = regions_.first_ending_after(at); entry != regions_.end() && entry->first < range.end; ++entry) {
        const Region& region = entry->second;
        if (region.shared_file == 0) continue;
        if (at < region.begin) parts.push_back({at, region.begin});
        at = region.end;
    }
    if (at < range.end) parts.push_back({at, range.end});
    return parts;
}

// Takes back the entries of shared mappings in the range.
void AddressSpace::hide(GuestRange range) {
    if (!has_shared_files_) return;
    std::vector<PhysicalRange> hidden;
    for (GuestAddr at = tables_.next_table(range.begin, range.end); at < range.end;
         at = tables_.next_table(block_floor(at) + large_page_size, range.end)) {
        const auto entries = tables_.page_entries(at);
        const GuestAddr end = std::min(range.end, block_floor(at) + large_page_size);
        for (GuestAddr page = at; page < end && !entries.empty(); page += page_size) {
            std::uint64_t& entry = entries[x86::PageTables::index_in_block(page)];
            if (!is_file_page(entry)) continue;
            if (image_) shared_blocks_.insert(block_floor(page));
            const std::uint64_t offset = *x86::PageTables::target(entry);
            hidden.push_back({offset, offset + page_size});
            entry = 0;
        }
    }
    forget_translations(std::move(hidden));
}

// Makes KVM forget under which addresses it knew these pages.
void AddressSpace::forget_translations(std::vector<PhysicalRange> pages) {
    if (pages.empty()) return;
    const Change change(*this);
    join_ranges(pages, [](PhysicalRange a, PhysicalRange b) { return b.begin <= a.end; });
    for (const PhysicalRange& range : pages) {
        physical_.protect(range.begin, range.size(), {});
        physical_.protect(range.begin, range.size(), read_write);
    }
}

void AddressSpace::hide_file(FileId file, std::uint64_t first, std::uint64_t last) {
    if (!has_shared_files_) return;
    const std::uint64_t begin = first * page_size;
    const std::uint64_t end = last > ~std::uint64_t{0} / page_size ? ~std::uint64_t{0} : last * page_size;
    for (const auto& entry : regions_) {
        const Region& region = entry.second;
        if (region.shared_file != file) continue;
        const std::uint64_t region_end = region.file_offset + (region.end - region.begin);
        const std::uint64_t from = std::max(begin, region.file_offset), to = std::min(end, region_end);
        if (from < to)
            hide({region.begin + (from - region.file_offset), region.begin + page_ceil(to - region.file_offset)});
    }
}

// Makes the entries of shared mappings equal to the image's.
void AddressSpace::reset_shared_mappings() {
    std::vector<PhysicalRange> hidden;
    for (const GuestAddr block : shared_blocks_) {
        const auto entries = tables_.page_entries(block);
        if (entries.empty()) continue;
        const std::byte* const base = image_->page(tables_.page_entries_offset(block) / page_size);
        for (std::size_t i = 0; i < entries.size(); ++i) {
            std::uint64_t before = 0;
            if (base) std::memcpy(&before, base + i * sizeof before, sizeof before);
            if (entries[i] == before || !(is_file_page(entries[i]) || is_file_page(before))) continue;
            if (is_file_page(entries[i])) {
                const std::uint64_t offset = *x86::PageTables::target(entries[i]);
                hidden.push_back({offset, offset + page_size});
            }
            entries[i] = before;
        }
    }
    shared_blocks_.clear();
    forget_translations(std::move(hidden));
}

}  // namespace tinykvm
