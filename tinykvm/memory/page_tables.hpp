// Guest page tables, 4-level (Intel SDM volume 3, 4.5). They gain entries and rights: what a guest may not do any more
// is taken away by the host's mapping of the page, because KVMs with shadow paging do not see host writes that
// narrow an entry of a page they have mapped. Accessed and dirty bits are set beforehand, so that the CPU never writes
// here.
//
// Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinykvm/types.hpp"
#include "tinykvm/x86/system_block.hpp"

namespace tinykvm {
class GuestPhysicalMemory;
}

namespace tinykvm::x86 {

class PageTables {
  public:
    // The tables live in `window`, in its system block and, when that is full, in further blocks.
    explicit PageTables(GuestPhysicalMemory& window) : physical_(&window) {}

    // What a snapshot keeps of them; the tables themselves are in its image.
    struct State {
        std::uint64_t next = 0, end = 0;    // unused table pages, window offsets
        std::vector<std::uint64_t> blocks;  // 2 MiB blocks with tables in them; the first is the system block
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
    // Leaves the pages of the range no more rights than these. For the tables of an image, on which no VM runs yet, and
    // for pages whose mapping on the host has just been replaced. Returns false when the window has no room for another
    // table.
    [[nodiscard]] bool narrow(GuestAddr address, std::size_t size, Protection rights);

  private:
    std::uint64_t* block_entry(GuestAddr address) const;
    std::uint64_t* table(std::uint64_t physical) const;
    std::uint64_t* descend(std::uint64_t& entry, int level);
    bool split(std::uint64_t& entry);
    std::uint64_t new_table();  // guest-physical, 0: no room

    GuestPhysicalMemory* physical_;
    State state_;
};

}  // namespace tinykvm::x86
