// The address space of a guest: what is mapped where, with which rights, and which part of guest-physical memory holds
// it. Keeps four records of that in agreement: the list of regions, the places of 2 MiB blocks, the guest's page tables
// and the host's mappings.
//
// Until a reset guest page tables only gain entries; the host's mm enforces what the guest may not touch any more
// (docs/design.md, "Memory").
//
// Owned by GuestMemory, which checks what a guest says and accounts for changes; borrows limits and memory. Thread
// safety: one thread at a time, while the guest stands still. Addresses and sizes are in bytes, page aligned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tinykvm/memory/address_blocks.hpp"
#include "tinykvm/memory/dirty_pages.hpp"
#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/memory/memory_limits.hpp"
#include "tinykvm/memory/page_tables.hpp"
#include "tinykvm/memory/ranges.hpp"
#include "tinykvm/memory/regions.hpp"
#include "tinykvm/memory/remapped_ranges.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class AddressSpace {
  public:
    // An empty one for booting, with a system block. `clock_page`: see GuestMemory.
    AddressSpace(const MemoryLimits& limits, GuestPhysicalMemory& physical, int clock_page);
    // The address space of an image, which is in `physical` already, and to which reset() returns.
    AddressSpace(const MemoryLimits& limits, GuestPhysicalMemory& physical, std::shared_ptr<const MemoryImage> image);

    // How much guest-physical memory a booting program needs, and a fork of an image; bytes.
    static std::size_t physical_size(const MemoryLimits& limits);
    static std::size_t physical_size(const MemoryLimits& limits, const MemoryImage& image);
    // How much of it the blocks of earlier requests may take when one request may take `growth_of_a_request`; bytes.
    static std::uint64_t kept_growth(std::uint64_t growth_of_a_request);

    // --- The present state

    const Regions& regions() const { return regions_; }
    const SharedArea& shared() const { return shared_; }
    const AddressBlocks& blocks() const { return blocks_; }
    const x86::PageTables& tables() const { return tables_; }
    // Where mappings on the host may differ from the image's.
    const RemappedRanges& remapped() const { return remapped_; }

    // May a guest have a mapping there? No: not page aligned, empty, outside of user space or on the system block.
    static bool is_valid(GuestAddr begin, std::size_t size);
    // Is a part of it closed by the limits?
    bool is_closed(GuestAddr begin, GuestAddr end) const;
    // The most regions there may be.
    std::size_t max_regions() const;
    std::optional<GuestAddr> find_free(std::size_t size, GuestAddr hint, std::size_t alignment) const;
    std::optional<GuestAddr> find_gap(std::size_t size, GuestAddr low, GuestAddr high, std::size_t alignment) const;

    enum class Right { read, write };
    // The longest piece that begins at the address, is at most `size` long, grants the right to the guest and is
    // contiguous in guest-physical memory. Empty when the first byte does not.
    PhysicalRange accessible_piece(GuestAddr address, std::size_t size, Right right) const;
    // Calls visit(physical range, its guest address) for the parts of the range that have a place.
    template <typename Visit>
    void for_each_piece(GuestRange range, Visit visit) const;

    // --- Changes. Each returns 0 or a negative errno; on an error nothing has changed.

    // Which limit has caused a -ENOMEM since this was called last.
    enum class Refusal : std::uint8_t { none, address_space, mappings };
    Refusal take_refusal() { return std::exchange(refusal_, Refusal::none); }

    [[nodiscard]] int map(GuestRange range, Protection protection, std::string name);
    // Lets the pages of `range`, which has just been mapped, show the file from `offset` on.
    void show_file(GuestRange range, Protection protection, std::string name, std::shared_ptr<const FileCopy> file,
                   std::uint64_t offset);
    [[nodiscard]] int unmap(GuestRange range);
    // Returns 0 when nothing but lack of address space can make protect() fail.
    [[nodiscard]] int check_protect(GuestRange range);
    // Requires that check_protect() has returned 0.
    [[nodiscard]] int protect(GuestRange range, Protection protection);
    // Regions::mark(), of a range that is mapped.
    [[nodiscard]] int mark(GuestRange range, const std::function<void(MappingTraits&)>& change);
    // Returns 0 when pages may be discarded there.
    [[nodiscard]] int check_discard(GuestRange range) const;
    // A fresh mapping of zero pages for `piece` of a region, at this address. False when there are too many mappings.
    [[nodiscard]] bool replace_with_zero(PhysicalRange piece, GuestAddr address, Protection protection);
    // Shows pages of an in-memory file from `offset` on; they become accessible with show_file_page().
    [[nodiscard]] int map_shared_file(GuestRange range, Protection protection, std::string name, FileId file,
                                      std::uint64_t offset);
    // False when there is no room.
    [[nodiscard]] bool share(std::shared_ptr<const SharedMemory> memory);

    // --- The file area: blocks of guest-physical memory for in-memory files, which have no guest addresses. It is
    // readable and writable for the host, and only grows; a block of it is zero at first.

    const std::vector<std::uint64_t>& file_blocks() const { return file_blocks_; }
    // Where in guest-physical memory a page of the area is, which must exist.
    std::uint64_t file_page(std::uint64_t area_page) const {
        constexpr std::uint64_t pages = large_page_size / page_size;
        return file_blocks_[area_page / pages] + area_page % pages * page_size;
    }
    // Makes the area at least so many pages long. False when there is no room.
    [[nodiscard]] bool grow_file_area(std::uint64_t pages);
    // Lets an address in a shared mapping be the page at `offset`. False when there is no room for page tables.
    [[nodiscard]] bool show_file_page(GuestAddr address, std::uint64_t offset, Protection protection);
    // Is it that already?
    bool shows(GuestAddr address, std::uint64_t offset, Protection protection) const;
    // Takes pages [first, last) of a file out of all mappings.
    void hide_file(FileId file, std::uint64_t first, std::uint64_t last);
    // Where a shared mapping of `size` bytes can be; nullopt: nowhere.
    std::optional<GuestAddr> find_free_for_file(std::size_t size, GuestAddr hint) const;

    // Lets write(host address) write to `range`, which has this protection for the guest.
    template <typename Write>
    void write_protected(PhysicalRange range, GuestAddr address, Protection protection, Write write);

    // --- Snapshot and reset

    // Makes page tables grant what the regions say and nothing more. For an image, on which no VM runs yet.
    void narrow_tables();
    bool knows_its_mappings() const { return !mappings_unknown_; }
    bool is_as_image() const { return !mappings_changed_; }
    // True when only a new VM can be made equal to the image, or when that is cheaper. `changed`: the VM's own pages.
    bool needs_rebuild(const DirtyPages& changed) const;
    // Makes mappings and page tables equal to the image's. Returns where the host's mapping is a new one, so that no
    // page there is changed any more. Throws MachineError.
    std::vector<PhysicalRange> reset(const DirtyPages& changed);

  private:
    // Exists while mappings are changed. When that ends with an exception, nobody knows how far it came, and only a new
    // VM can be equal to the image.
    class Change {
      public:
        explicit Change(AddressSpace& addresses) : addresses_(addresses) { addresses_.mappings_changed_ = true; }
        ~Change() {
            if (std::uncaught_exceptions() > exceptions_) addresses_.mappings_unknown_ = true;
        }
        Change(const Change&) = delete;
        Change& operator=(const Change&) = delete;

      private:
        AddressSpace& addresses_;
        const int exceptions_ = std::uncaught_exceptions();
    };

    void create_system_block();
    std::uint64_t growth_of_a_request() const;
    bool charge_address_space(GuestRange range);
    bool assign_blocks(GuestRange range);
    bool grant(const std::vector<GuestRange>& ranges, Protection protection);
    bool make_accessible(const std::vector<GuestRange>& ranges, Protection protection);
    Protection host_protection_for(GuestAddr address, std::size_t size, Protection protection) const;
    bool too_many_regions() const { return regions_.size() >= max_regions() || too_many_ranges(); }
    bool too_many_ranges() const { return image_ && remapped_.are_too_many(); }
    int refuse(Refusal why);
    void note_remapped(GuestRange range) {
        if (image_) remapped_.add(range.begin, range.end);
    }
    void narrow_tables(GuestRange range);
    bool is_file_page(std::uint64_t entry) const;
    std::vector<GuestRange> private_parts(GuestRange range) const;
    void hide(GuestRange range);
    void forget_translations(std::vector<PhysicalRange> pages);
    void reset_shared_mappings();
    std::vector<PhysicalRange> ranges_to_undo(const DirtyPages& changed) const;
    void map_as_image(PhysicalRange range);

    const MemoryLimits& limits_;
    GuestPhysicalMemory& physical_;
    const std::shared_ptr<const MemoryImage> image_;  // null while the program boots
    x86::PageTables tables_;
    AddressBlocks blocks_;
    AddressBlocks charged_;  // the program's blocks, and those this request was charged for
    Regions regions_;
    SharedArea shared_;
    std::vector<std::uint64_t> file_blocks_;  // window offsets, in the order of the area
    DirtyPages file_block_set_;               // the same as a set of the window's blocks
    bool has_shared_files_ = false;           // is there, or was there, a shared mapping of a file?
    std::set<GuestAddr> shared_blocks_;       // blocks with entries of shared mappings that this request changed
    RemappedRanges remapped_;
    Refusal refusal_ = Refusal::none;
    bool mappings_changed_ = false;  // since the last reset
    bool mappings_unknown_ = false;  // a change failed half-way
    bool executable_added_ = false;
};

template <typename Visit>
void AddressSpace::for_each_piece(GuestRange range, Visit visit) const {
    const auto& placed = blocks_.ranges();
    auto place = std::lower_bound(placed.begin(), placed.end(), range.begin,
                                  [](const PlacedRange& p, GuestAddr address) { return p.end <= address; });
    for (; place != placed.end() && place->begin < range.end; ++place) {
        const GuestAddr from = std::max(range.begin, place->begin), to = std::min(range.end, place->end);
        const std::uint64_t offset = place->offset + (from - place->begin);
        visit(PhysicalRange{offset, offset + (to - from)}, from);
    }
}

template <typename Write>
void AddressSpace::write_protected(PhysicalRange range, GuestAddr address, Protection protection, Write write) {
    if (protection.write) return write(physical_.host(range.begin));
    const PhysicalRange pages{page_floor(range.begin), page_ceil(range.end)};
    const GuestAddr page = page_floor(address);
    const Change change(*this);
    note_remapped({page, page + pages.size()});  // reset cannot copy into pages it may not write
    physical_.protect(pages.begin, pages.size(), {.read = true, .write = true});
    write(physical_.host(range.begin));
    physical_.protect(pages.begin, pages.size(), host_protection_for(page, pages.size(), protection));
}

}  // namespace tinykvm
