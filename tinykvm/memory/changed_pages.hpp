// Which pages of a guest are its VM's own, against which limit they count, and how they become equal to the image
// again.
//
// A page is the VM's own when it may differ from the image, from zero where that has nothing: the guest wrote it, as
// the vCPU's dirty ring says, or the host did. It stays one as long as the host keeps a private copy of it, also when a
// reset has made it equal to the image: the next request then takes no fault at it (docs/design.md, "Snapshot and
// reset").
//
// Owned by GuestMemory; borrows limits, memory and address space. Thread safety: one thread at a time, while the guest
// stands still. Offsets and pages are of guest-physical memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tinykvm/memory/address_space.hpp"
#include "tinykvm/memory/dirty_pages.hpp"
#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/memory/memory_limits.hpp"
#include "tinykvm/memory/ranges.hpp"

namespace tinykvm {

class ChangedPages {
  public:
    // `image`: what the guest is a fork of; null while a program boots, when everything is zero at first.
    ChangedPages(const MemoryLimits& limits, GuestPhysicalMemory& physical, const AddressSpace& addresses,
                 const MemoryImage* image)
        : limits_(limits), physical_(physical), addresses_(addresses), image_(image) {}

    const DirtyPages& own() const { return own_; }

    // --- Accounting

    // Bytes of the VM's own pages, those kept from earlier requests included, and of what the host keeps for it.
    std::size_t own_bytes() const { return own_pages() * page_size; }
    // How many more pages may become the VM's own before the limit has to be checked.
    std::size_t pages_left() const { return (limits_.bytes - std::min(own_bytes(), limits_.bytes)) / page_size; }
    // Bytes this request has changed or added. Guests are told this number only, because own_bytes() depends on earlier
    // requests. Compares pages with the image, 0.1 us each.
    std::size_t changed_bytes() const;
    // The most bytes the last request had changed or added at a time, known since reset(): never less than it needed;
    // more when it wrote to pages kept from earlier requests only after it had given others back.
    std::size_t last_peak_bytes() const { return last_peak_ * page_size; }
    // The same of the running request, as far as it is known: pages kept from earlier requests may be counted in it.
    std::size_t peak_bytes() const { return (peak_ - unchanged_) * page_size; }

    // --- Changes

    // Takes note of pages the guest wrote, by their numbers (from the vCPU's dirty ring).
    void note_guest_writes(std::span<const std::uint64_t> pages);
    // Has to be called before the host writes. Throws OutOfMemory when the limit does not allow that.
    void will_write(PhysicalRange range);
    // Throws OutOfMemory when more than the limit has been changed.
    void enforce_limit();
    // To be called when the host's mapping there was replaced: none of its pages is the VM's own any more.
    void forget(PhysicalRange range) { own_.remove(range.begin / page_size, range.end / page_size); }
    // Gives pages back to the host that have not been changed: those kept from earlier requests, or written with what
    // they held already. They do not count.
    void drop_unchanged(GuestRange range);

    // Says how many bytes the host keeps for the guest besides its memory, beyond those of the image: they count, too.
    void count_host_bytes(std::size_t bytes) {
        host_pages_ = (bytes + page_size - 1) / page_size;
        note_peak();
    }

    // --- What the next forks will write

    // The pages of writable memory of its own that are the VM's own, as ranges.
    std::vector<PlacedRange> own_ranges() const;
    // Makes private copies of pages of such memory, which are the VM's own then, though equal to the image; as many as
    // a new fork is to have. Returns of which. For a fork that has not run.
    std::vector<GuestRange> make_own(const std::vector<PlacedRange>& ranges);

    // --- Reset

    // Makes all pages equal to the image; returns how many were not. Pages stay resident up to the limit `kept`, and as
    // long as requests change them now and then; the others are given back to the host. Throws MachineError.
    std::size_t reset();
    // Does reset() copy a few pages only?
    bool resets_quickly() const;

  private:
    bool is_unchanged(std::uint64_t page) const;
    std::vector<std::uint64_t> unchanged_pages(GuestRange range) const;
    void copy_from_image(std::uint64_t page);
    void give_back(const std::vector<std::uint64_t>& pages);
    std::size_t own_pages() const { return own_.size() + host_pages_; }
    void note_peak() { peak_ = std::max(peak_, own_pages() + unchanged_); }

    const MemoryLimits& limits_;
    GuestPhysicalMemory& physical_;
    const AddressSpace& addresses_;
    const MemoryImage* image_;

    DirtyPages own_;
    std::size_t host_pages_ = 0;  // what the host keeps besides, in pages
    DirtyPages used_;             // pages that differed from the image at a reset of this period
    unsigned resets_ = 0;         // of this period
    std::size_t unchanged_ = 0;   // pages given back since the last reset that had not been changed
    std::size_t peak_ = 0;        // the most own pages since then, these included
    std::size_t last_peak_ = 0;   // of the request that ended last
};

}  // namespace tinykvm
