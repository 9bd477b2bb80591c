#include "tinykvm/x86/page_tables.hpp"

#include <algorithm>

#include "tinykvm/memory/window.hpp"
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

}  // namespace

void PageTables::create() {
    state_.next = page_tables_offset;
    state_.end = doorbell_offset;
    state_.blocks = {0};
    new_table();
}

std::uint64_t PageTables::root() const { return window_base + page_tables_offset; }

std::uint64_t* PageTables::table(std::uint64_t physical) {
    return reinterpret_cast<std::uint64_t*>(window_->host((physical & address_mask) - window_base));
}

std::uint64_t PageTables::new_table() {
    if (state_.next == state_.end) {
        auto block = window_->allocate(large_page_size);
        if (!block) return 0;
        window_->protect(*block, large_page_size, {.read = true, .write = true});
        state_.next = *block;
        state_.end = *block + large_page_size;
        state_.blocks.push_back(*block);
    }
    std::uint64_t offset = state_.next;
    state_.next += page_size;
    return window_base + offset;
}

bool PageTables::split(std::uint64_t& entry) {
    std::uint64_t physical = new_table();
    if (!physical) return false;
    std::uint64_t* small = table(physical);
    for (std::size_t i = 0; i < entries; ++i) small[i] = (entry & ~large) + i * page_size;
    entry = physical | present | writable | user | accessed;
    return true;
}

std::uint64_t* PageTables::descend(std::uint64_t& entry, int level) {
    if (!(entry & present)) {
        std::uint64_t physical = new_table();
        if (!physical) return nullptr;
        entry = physical | present | writable | user | accessed;
    } else if (level == 2 && (entry & large) && !split(entry)) {
        return nullptr;
    }
    return table(entry);
}

bool PageTables::grant(GuestAddr address, std::uint64_t physical, std::size_t size, Protection rights,
                       Access access) {
    const std::uint64_t flags = present | accessed | dirty | (access == Access::user ? user : 0) |
                                (rights.write ? writable : 0) | (rights.execute ? 0 : no_execute);
    const GuestAddr end = address + size;
    while (address < end) {
        std::uint64_t* tables = table(root());
        for (int level = 4; level > 2; --level) {
            std::uint64_t& entry = tables[index(address, level)];
            tables = descend(entry, level);
            if (!tables) return false;
        }
        std::uint64_t& block = tables[index(address, 2)];
        const bool whole = address % large_page_size == 0 && physical % large_page_size == 0 &&
                           end - address >= large_page_size && !rights.execute;
        const bool is_table = (block & present) && !(block & large);
        if (whole && !is_table) {
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
        std::uint64_t* pages = descend(block, 2);
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

}  // namespace tinykvm::x86
