// Guest page tables, 4-level (Intel SDM volume 3, 4.5). They gain entries and rights: what a guest may not do any more
// is taken away by the host's mapping of the page, because KVMs with shadow paging do not see host writes that
// narrow an entry of a page they have mapped. Accessed and dirty bits are set beforehand, so that the CPU never writes
// here.
//
// Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "tinykvm/types.hpp"
#include "tinykvm/x86/system_block.hpp"

namespace tinykvm {
class GuestPhysicalMemory;
}

namespace tinykvm::x86 {

// Neighbouring pages of the same rights and size.
struct MappedRange {
    GuestAddr begin, end;
    Protection rights;
    Access access;
    bool is_large;  // pages of 2 MiB, else of 4 KiB
};

class PageTables {
  public:
    // The tables live in `window`, in its system block and, when that is full, in further blocks.
    explicit PageTables(GuestPhysicalMemory& window) : physical_(&window) {}

    // What a snapshot keeps of them; the tables themselves are in its image.
    struct State {
        std::uint64_t next = 0, end = 0;    // unused table pages, window offsets
        std::vector<std::uint64_t> blocks;  // 2 MiB blocks with tables in them; the first is the system block

        template <typename Archive>
        void archive(Archive& archive) {
            archive(next, end, blocks);
        }
    };
    const State& state() const { return state_; }
    void restore(const State& state) { state_ = state; }

    // Makes the root. For a new window.
    void create();
    std::uint64_t root() const;  // guest-physical

    // Maps [address, address+size) to guest-physical memory from `physical` on and adds to the rights of pages
    // already mapped there (to the same memory, always). Page aligned. Uses 2 MiB entries where both addresses
    // allow. Returns false when the window has no room for another table; nothing was granted then.
    [[nodiscard]] bool grant(GuestAddr address, std::uint64_t physical, std::size_t size, Protection rights,
                             Access access = Access::user);
    // The most tables that grant() takes, and how many there is room for. A caller that grants several ranges, all or
    // none, asks before.
    std::uint64_t tables_to_grant(GuestAddr address, std::uint64_t physical, std::size_t size, Protection rights,
                                  Access access = Access::user) const;
    std::uint64_t tables_left() const;
    // Does an entry in the range allow writing? If not, the tables keep the guest from it.
    bool any_writable(GuestAddr address, std::size_t size) const;
    // All that is present, by address. For people who look into a guest.
    std::vector<MappedRange> mapped_ranges() const;
    // Leaves the pages of the range no more rights than these. For the tables of an image, on which no VM runs yet, and
    // for pages whose mapping on the host has just been replaced. Returns false when the window has no room for another
    // table.
    [[nodiscard]] bool narrow(GuestAddr address, std::size_t size, Protection rights);

    // --- Pages of in-memory files, which are the only ones that may be at several addresses, and whose entries are
    // taken back while the VM lives. The caller makes KVM forget what it knew of the page (AddressSpace::hide).

    // May such entries be in the range? Not where an entry for 2 MiB is or was: KVM with shadow paging does not notice
    // that a table took its place.
    bool takes_file_pages(GuestAddr address, std::size_t size) const;
    // Lets the address be that page with these rights, whatever it was. False when there is no room for a table.
    [[nodiscard]] bool set_page(GuestAddr address, std::uint64_t physical, Protection rights);
    // The table with the entries for the pages of an address's block; empty when there is none. And its offset in the
    // window.
    std::span<std::uint64_t> page_entries(GuestAddr address) const;
    std::uint64_t page_entries_offset(GuestAddr address) const;
    // What an entry for a page leads to, as an offset in the window; nullopt when it is not present.
    static std::optional<std::uint64_t> target(std::uint64_t entry);
    // Is the entry exactly that of set_page()?
    static bool shows(std::uint64_t entry, std::uint64_t physical, Protection rights);
    // The first address from `address` on in whose block there can be a table, or `end`.
    GuestAddr next_table(GuestAddr address, GuestAddr end) const;
    static constexpr std::size_t index_in_block(GuestAddr address) { return address >> 12 & 511; }

  private:
    void add_mapped_ranges(std::uint64_t physical, int level, GuestAddr begin, std::vector<MappedRange>& ranges) const;
    std::uint64_t* block_entry(GuestAddr address) const;
    std::uint64_t* table(std::uint64_t physical) const;
    std::uint64_t* descend(std::uint64_t& entry, int level, GuestAddr address);
    bool split(std::uint64_t& entry, GuestAddr address);
    std::uint64_t new_table();  // guest-physical, 0: no room

    GuestPhysicalMemory* physical_;
    State state_;
    std::set<GuestAddr> split_;  // blocks that had an entry for 2 MiB since the VM was made
};

}  // namespace tinykvm::x86
