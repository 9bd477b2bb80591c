#include "tinykvm/memory/page_tables.hpp"

#include <algorithm>

#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::x86 {

namespace {

constexpr std::uint64_t present = 1 << 0, writable = 1 << 1, user = 1 << 2, accessed = 1 << 5, dirty = 1 << 6,
                        large = 1 << 7, no_execute = std::uint64_t{1} << 63;
constexpr std::uint64_t address_mask = 0x000FFFFFFFFFF000;
constexpr std::size_t entries = 512;

constexpr std::size_t index(GuestAddr address, int level) { return address >> (12 + 9 * (level - 1)) & 511; }

// Rights only ever grow: more bits, and "no execute" stays only if both say so.
std::uint64_t join(std::uint64_t entry, std::uint64_t rights) {
    if (!(entry & present)) return rights;
    return (entry | (rights & (writable | user))) & ~(rights & no_execute ? 0 : no_execute);
}

std::uint64_t entry_flags(Protection rights, Access access) {
    return present | accessed | dirty | (access == Access::user ? user : 0) | (rights.write ? writable : 0) |
           (rights.execute ? 0 : no_execute);
}

Protection rights_of(std::uint64_t entry) {
    return {.read = true, .write = (entry & writable) != 0, .execute = !(entry & no_execute)};
}

bool is_table(std::uint64_t entry) { return (entry & present) && !(entry & large); }

constexpr GuestAddr block_floor(GuestAddr address) { return address & ~GuestAddr{large_page_size - 1}; }

GuestAddr end_of_block(GuestAddr address, GuestAddr end) {
    return std::min(end, (address | (large_page_size - 1)) + 1);
}

// May one entry map the whole block? Executable pages get small entries, because "no execute" is taken away page by
// page.
bool takes_large(GuestAddr address, std::uint64_t physical, GuestAddr end, std::uint64_t flags) {
    return address % large_page_size == 0 && physical % large_page_size == 0 && end - address >= large_page_size &&
           (flags & no_execute);
}

}  // namespace

void PageTables::create() {
    state_.next = page_tables_offset;
    state_.end = doorbell_offset;
    state_.blocks = {0};
    new_table();
}

std::uint64_t PageTables::root() const { return window_base + page_tables_offset; }

std::uint64_t* PageTables::table(std::uint64_t physical) const {
    return reinterpret_cast<std::uint64_t*>(physical_->host((physical & address_mask) - window_base));
}

std::uint64_t PageTables::new_table() {
    if (state_.next == state_.end) {
        auto block = physical_->allocate(large_page_size);
        if (!block) return 0;
        physical_->protect(*block, large_page_size, {.read = true, .write = true});
        state_.next = *block;
        state_.end = *block + large_page_size;
        state_.blocks.push_back(*block);
    }
    std::uint64_t offset = state_.next;
    state_.next += page_size;
    return window_base + offset;
}

bool PageTables::split(std::uint64_t& entry, GuestAddr address) {
    std::uint64_t physical = new_table();
    if (!physical) return false;
    std::uint64_t* small = table(physical);
    for (std::size_t i = 0; i < entries; ++i) small[i] = (entry & ~large) + i * page_size;
    entry = physical | present | writable | user | accessed;
    split_.insert(block_floor(address));
    return true;
}

std::uint64_t* PageTables::descend(std::uint64_t& entry, int level, GuestAddr address) {
    if (!(entry & present)) {
        std::uint64_t physical = new_table();
        if (!physical) return nullptr;
        entry = physical | present | writable | user | accessed;
    } else if (level == 2 && (entry & large) && !split(entry, address)) {
        return nullptr;
    }
    return table(entry);
}

// The level-2 entry of an address; null when the tables above it are missing.
std::uint64_t* PageTables::block_entry(GuestAddr address) const {
    std::uint64_t* tables = table(root());
    for (int level = 4; level > 2; --level) {
        const std::uint64_t entry = tables[index(address, level)];
        if (!(entry & present)) return nullptr;
        tables = table(entry);
    }
    return &tables[index(address, 2)];
}

std::uint64_t PageTables::tables_left() const {
    constexpr std::uint64_t pages_per_block = large_page_size / page_size;
    return (state_.end - state_.next) / page_size +
           (physical_->size() - physical_->allocated()) / large_page_size * pages_per_block;
}

std::uint64_t PageTables::tables_to_grant(GuestAddr address, std::uint64_t physical, std::size_t size,
                                          Protection rights, Access access) const {
    const std::uint64_t flags = entry_flags(rights, access);
    const GuestAddr end = address + size;
    std::uint64_t needed = 0;
    for (bool first = true; address < end; first = false) {
        const std::uint64_t* entry = block_entry(address);
        if (!entry && (first || index(address, 2) == 0)) needed += 2;  // the two above it, at most
        if (!(entry && is_table(*entry)) && !takes_large(address, physical, end, flags) &&
            !(entry && (*entry & large) && join(*entry, flags) == *entry))
            ++needed;
        const std::uint64_t step = end_of_block(address, end) - address;
        address += step;
        physical += step;
    }
    return needed;
}

bool PageTables::any_writable(GuestAddr address, std::size_t size) const {
    for (const GuestAddr end = address + size; address < end;) {
        const GuestAddr next = end_of_block(address, end);
        const std::uint64_t* entry = block_entry(address);
        if (!entry || !is_table(*entry)) {
            if (entry && (*entry & writable)) return true;
        } else {
            const std::uint64_t* pages = table(*entry);
            for (GuestAddr page = address; page < next; page += page_size)
                if (pages[index(page, 1)] & writable) return true;
        }
        address = next;
    }
    return false;
}

bool PageTables::narrow(GuestAddr address, std::size_t size, Protection rights) {
    const auto narrowed = [&](std::uint64_t entry) {
        if (!(entry & present) || !rights.accessible()) return std::uint64_t{0};
        return (entry & ~(rights.write ? 0 : writable)) | (rights.execute ? 0 : no_execute);
    };
    for (const GuestAddr end = address + size; address < end;) {
        const GuestAddr next = end_of_block(address, end);
        std::uint64_t* entry = block_entry(address);
        if (entry && (*entry & large) && next - address == large_page_size) {
            *entry = narrowed(*entry);
        } else if (entry && (*entry & present)) {
            if ((*entry & large) && narrowed(*entry) != *entry && !split(*entry, address)) return false;
            if (is_table(*entry))
                for (GuestAddr page = address; page < next; page += page_size) {
                    std::uint64_t& small = table(*entry)[index(page, 1)];
                    small = narrowed(small);
                }
        }
        address = next;
    }
    return true;
}

bool PageTables::grant(GuestAddr address, std::uint64_t physical, std::size_t size, Protection rights, Access access) {
    const std::uint64_t flags = entry_flags(rights, access);
    const GuestAddr end = address + size;
    if (tables_to_grant(address, physical, size, rights, access) > tables_left()) return false;
    while (address < end) {
        std::uint64_t* tables = table(root());
        for (int level = 4; level > 2; --level) {
            std::uint64_t& entry = tables[index(address, level)];
            tables = descend(entry, level, address);
            if (!tables) return false;
        }
        std::uint64_t& block = tables[index(address, 2)];
        if (takes_large(address, physical, end, flags) && !is_table(block)) {
            block = join(block, physical | large | flags);
            address += large_page_size;
            physical += large_page_size;
            continue;
        }
        // A large entry that already grants all this stays.
        if ((block & large) && join(block, flags) == block) {
            std::size_t rest = std::min<std::size_t>(end - address, large_page_size - address % large_page_size);
            address += rest;
            physical += rest;
            continue;
        }
        std::uint64_t* pages = descend(block, 2, address);
        if (!pages) return false;
        do {
            std::uint64_t& page = pages[index(address, 1)];
            page = join(page, physical | flags);
            address += page_size;
            physical += page_size;
        } while (address < end && address % large_page_size != 0);
    }
    return true;
}

std::vector<MappedRange> PageTables::mapped_ranges() const {
    std::vector<MappedRange> ranges;
    add_mapped_ranges(root(), 4, 0, ranges);
    return ranges;
}

// `begin`: the first address that the table at `physical` is for.
void PageTables::add_mapped_ranges(std::uint64_t physical, int level, GuestAddr begin,
                                   std::vector<MappedRange>& ranges) const {
    const std::uint64_t covered = std::uint64_t{1} << (12 + 9 * (level - 1));
    const std::uint64_t* entry = table(physical);
    for (GuestAddr at = begin; at < begin + entries * covered; at += covered, ++entry) {
        if (level > 1 && is_table(*entry)) {
            add_mapped_ranges(*entry, level - 1, at, ranges);
        } else if (*entry & present) {
            const MappedRange here{at, at + covered, rights_of(*entry),
                                   *entry & user ? Access::user : Access::supervisor, level > 1};
            const bool continues = !ranges.empty() && ranges.back().end == at && ranges.back().rights == here.rights &&
                                   ranges.back().access == here.access && ranges.back().is_large == here.is_large;
            continues ? void(ranges.back().end = here.end) : ranges.push_back(here);
        }
    }
}

// --- Pages of in-memory files

GuestAddr PageTables::next_table(GuestAddr address, GuestAddr end) const {
    while (address < end) {
        const std::uint64_t* tables = table(root());
        int level = 4;
        for (; level > 2; --level) {
            const std::uint64_t entry = tables[index(address, level)];
            if (!(entry & present)) break;
            tables = table(entry);
        }
        if (level == 2 && (tables[index(address, 2)] & present)) return address;
        const std::uint64_t covered = std::uint64_t{1} << (12 + 9 * (level - 1));
        address = (address & ~(covered - 1)) + covered;
    }
    return end;
}

bool PageTables::takes_file_pages(GuestAddr address, std::size_t size) const {
    const GuestAddr end = address + size;
    if (const auto block = split_.lower_bound(block_floor(address)); block != split_.end() && *block < end)
        return false;
    for (GuestAddr at = next_table(address, end); at < end; at = next_table(end_of_block(at, end), end))
        if (const std::uint64_t* entry = block_entry(at); entry && (*entry & large)) return false;
    return true;
}

bool PageTables::set_page(GuestAddr address, std::uint64_t physical, Protection rights) {
    if (!block_entry(address) && tables_left() < 3) return false;
    std::uint64_t* tables = table(root());
    for (int level = 4; level > 1; --level) {
        tables = descend(tables[index(address, level)], level, address);
        if (!tables) return false;
    }
    tables[index(address, 1)] = physical | entry_flags(rights, Access::user);
    return true;
}

std::span<std::uint64_t> PageTables::page_entries(GuestAddr address) const {
    const std::uint64_t* entry = block_entry(address);
    if (!entry || !is_table(*entry)) return {};
    return {table(*entry), entries};
}

std::uint64_t PageTables::page_entries_offset(GuestAddr address) const {
    return (*block_entry(address) & address_mask) - window_base;
}

std::optional<std::uint64_t> PageTables::target(std::uint64_t entry) {
    if (!(entry & present)) return std::nullopt;
    return (entry & address_mask) - window_base;
}

bool PageTables::shows(std::uint64_t entry, std::uint64_t physical, Protection rights) {
    return entry == (physical | entry_flags(rights, Access::user));
}

}  // namespace tinykvm::x86
