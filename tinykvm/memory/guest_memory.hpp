// A guest's memory: its mappings, and the only way to its bytes.
//
// Guest memory is host memory. Each 2 MiB block of guest addresses that ever becomes accessible is given a
// block of the VM's guest-physical window for good. Until a reset guest page tables only gain entries; the host's mm
// enforces what the guest may not touch any more (docs/design.md, "Memory").
//
// Addresses and lengths come from the guest: every function checks them with arithmetic that cannot wrap.
//
// Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinykvm/memory/address_blocks.hpp"
#include "tinykvm/memory/dirty_pages.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/memory/page_tables.hpp"
#include "tinykvm/memory/regions.hpp"
#include "tinykvm/memory/remapped_ranges.hpp"
#include "tinykvm/memory/window.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

namespace kvm {
class Vm;
}

class GuestMemory {
  public:
    struct Limits {
        std::size_t bytes = 0;                                       // what may be changed or added
        std::string name;                                            // the configuration key that says so
        std::size_t address_space = 0;                               // accessible guest addresses, bytes
        std::size_t kept = std::numeric_limits<std::size_t>::max();  // what reset() may leave resident, bytes
        std::vector<AddressRange> on_request{};  // addresses find_free() gives only to who asks for them
        std::vector<AddressRange> closed{};      // addresses nobody gets: map() says ENOMEM
    };

    // `clock_page`: a memfd of one page, to be seen at x86::clock_page by all who have it; -1: a page of zeros.

    // An empty address space, for booting.
    GuestMemory(kvm::Vm& vm, Limits limits, HugePages huge_pages = {}, int clock_page = -1);
    // A copy-on-write view of an image.
    GuestMemory(kvm::Vm& vm, std::shared_ptr<const MemoryImage> image, Limits limits, HugePages huge_pages = {},
                int clock_page = -1);
    GuestMemory(const GuestMemory&) = delete;
    GuestMemory& operator=(const GuestMemory&) = delete;

    // --- Bytes. All fail (false, empty, nullopt) when any byte is not mapped with that right for the guest.

    [[nodiscard]] bool read(GuestAddr from, void* to, std::size_t size) const;
    [[nodiscard]] bool write(GuestAddr to, const void* from, std::size_t size);
    template <typename T>
    [[nodiscard]] bool read(GuestAddr from, T& value) const {
        static_assert(std::is_trivially_copyable_v<T>);
        return read(from, &value, sizeof value);
    }
    template <typename T>
    [[nodiscard]] bool write(GuestAddr to, const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        return write(to, &value, sizeof value);
    }
    // `size` bytes as a string of the host.
    std::optional<std::string> read_bytes(GuestAddr from, std::size_t size) const;
    // Up to and without the terminating NUL; nullopt also when there is none within `max` bytes.
    std::optional<std::string> read_string(GuestAddr from, std::size_t max) const;

    // Direct access without a copy: the host memory behind the longest piece that starts at the address, is at
    // most `size` long and contiguous on the host. Empty when the first byte is not accessible. Walk longer
    // ranges piece by piece. Valid until the guest runs or a mapping changes. The guest is hostile: if it may
    // run meanwhile, bytes may change under the reader. writable() and
    // write() count the pages as changed and throw OutOfMemory when the limit does not allow that.
    std::span<const std::byte> readable(GuestAddr from, std::size_t size) const;
    // A piece from writable() must be filled before the next call of a function that is not const.
    std::span<std::byte> writable(GuestAddr to, std::size_t size);

    // Writes what the guest itself need not be allowed to write: the contents of a program or file. False when a
    // part is not mapped (what came before it is then written).
    [[nodiscard]] bool fill(GuestAddr to, std::span<const std::byte> bytes);

    // May the guest itself read / write the whole range?
    bool is_readable(GuestAddr address, std::size_t size) const;
    bool is_writable(GuestAddr address, std::size_t size) const;

    // --- Mappings, in the terms of Linux. Addresses and sizes are page aligned, sizes not 0, ranges below
    // x86::user_end. Each returns 0 or a positive errno value; on an error nothing has changed. Shared memory stays
    // where it is: EPERM.

    // Fresh zero pages, replacing what was there.
    [[nodiscard]] int map(GuestAddr begin, std::size_t size, Protection protection, std::string name = {});
    // A copy-on-write view of a file from `offset` on (whole pages), which must be in it; zero behind its end. What is
    // not written does not count as changed. For forks only.
    [[nodiscard]] int map_file(GuestAddr begin, std::size_t size, Protection protection, std::string name,
                               std::shared_ptr<const FileCopy> file, std::uint64_t offset);
    FileCopies* file_copies() const { return image_ ? image_->file_copies.get() : nullptr; }
    [[nodiscard]] int unmap(GuestAddr begin, std::size_t size);
    // ENOMEM when a part is not mapped.
    [[nodiscard]] int protect(GuestAddr begin, std::size_t size, Protection protection);
    // Makes the pages zero again, or those of the file (MADV_DONTNEED of private memory).
    [[nodiscard]] int discard(GuestAddr begin, std::size_t size);
    // Where a new mapping of `size` bytes goes: `hint` if it is free, else the highest gap below the stack.
    std::optional<GuestAddr> find_free(std::size_t size, GuestAddr hint = 0, std::size_t alignment = page_size) const;
    // The highest gap in [low, high).
    std::optional<GuestAddr> find_gap(std::size_t size, GuestAddr low, GuestAddr high,
                                      std::size_t alignment = page_size) const;
    const Regions& regions() const { return regions_; }
    bool is_closed(GuestAddr begin, GuestAddr end) const;

    // Maps `memory`, readable and writable, at a place of its choice; while the program boots, at most once. It is not
    // counted as changed, is the same in all forks, and reset() leaves it alone: other VMs may write to it at any
    // time, also while the host reads. False when there is no room.
    [[nodiscard]] bool share(std::shared_ptr<const SharedMemory> memory);
    const SharedArea& shared() const { return shared_; }

    // --- Accounting

    const Limits& limits() const { return limits_; }
    // Which limit a change of mappings that was ENOMEM since the last question has met.
    enum class Refusal : std::uint8_t { none, address_space, mappings };
    Refusal take_refusal() { return std::exchange(refusal_, Refusal::none); }
    // The most mappings there may be.
    std::size_t max_regions() const;
    // Bytes of pages of its own, also kept from earlier requests.
    std::size_t own_bytes() const { return dirty_.size() * page_size; }
    // Bytes this request changed or added: whoever is not to learn of earlier ones is told this. Compares pages with
    // the image, 0.1 us each.
    std::size_t changed_bytes() const;
    // Throws OutOfMemory when more than limits().bytes have been changed.
    void enforce_limit();
    // How many more pages may become its own before the limit is looked at.
    std::size_t pages_left() const { return (limits_.bytes - std::min(own_bytes(), limits_.bytes)) / page_size; }
    // The most bytes the last request had changed or added at a time, known since reset(): never less than it needed;
    // more when it wrote to pages kept from earlier requests only after it had given others back.
    std::size_t last_peak_bytes() const { return last_peak_ * page_size; }
    // Of the request that runs, as far as that is known: pages kept from earlier requests may be in it.
    std::size_t peak_bytes() const { return (peak_ - unchanged_) * page_size; }
    // Takes note of pages the guest wrote, as page numbers of the window (from the vCPU's dirty ring).
    void note_guest_writes(std::span<const std::uint64_t> window_pages);

    // --- Snapshot and reset

    // The image of what is mapped now. The memory must not be used afterwards. Throws MachineError.
    std::shared_ptr<const MemoryImage> make_image(std::shared_ptr<FileCopies> file_copies = nullptr);
    // Equal to the image again; returns the number of pages made equal. Pages stay resident up to limits().kept,
    // and as long as requests change them now and then; the rest is given back to the host. Throws MachineError
    // when the host refuses.
    std::size_t reset();
    // Does reset() only copy a few pages?
    bool resets_quickly() const;
    // True when only a new VM can be made equal to the image: pages became executable, or what requests asked for takes
    // up too much of the window; or when that is cheaper, because there are too many mappings to undo.
    bool needs_rebuild() const;
    // What earlier requests may have taken of a window, where one may take `growth_of_a_request`; bytes.
    static std::uint64_t kept_growth(std::uint64_t growth_of_a_request);

    // --- For the machine underneath

    std::uint64_t page_table_root() const { return tables_.root(); }
    // The system block (x86/layout.hpp), readable and writable for the host.
    std::byte* system_block() const { return window_.host(0); }
    void use_small_pages() { window_.use_small_pages(); }
    // The guest runs no more, and make_image() is to come: what is mapped from now on is mapped in forks only.
    void finish() { window_.finish(); }
    std::size_t reserved_huge() const { return window_.reserved_huge(); }

  private:
    struct Range {
        std::uint64_t begin, end;  // window offsets
    };
    enum class Right { read, write };
    // Lives while mappings are changed. When that ends with an exception nobody knows how far it came.
    class Change {
      public:
        explicit Change(GuestMemory& memory) : memory_(memory) { memory_.mappings_changed_ = true; }
        ~Change() {
            if (std::uncaught_exceptions() > exceptions_) memory_.mappings_unknown_ = true;
        }
        Change(const Change&) = delete;
        Change& operator=(const Change&) = delete;

      private:
        GuestMemory& memory_;
        const int exceptions_ = std::uncaught_exceptions();
    };

    void create_system_block();
    static bool valid(GuestAddr begin, std::size_t size);
    bool allows(GuestAddr address, std::size_t size, Right right) const;
    // Window offset of an address whose region grants `right`, and how far it goes on; size 0: not granted.
    Range piece(GuestAddr address, std::size_t size, Right right) const;
    bool too_many_regions() const;
    bool too_many_ranges() const { return image_ && remapped_.are_too_many(); }
    std::uint64_t growth_of_a_request() const;
    bool ask_for(GuestAddr begin, GuestAddr end);
    bool give_place(GuestAddr begin, GuestAddr end);
    int refuse(Refusal why);
    bool grant(GuestAddr begin, GuestAddr end, Protection protection);
    template <typename Visit>
    void for_each_piece(GuestAddr begin, GuestAddr end, Visit visit) const;
    Protection behind(GuestAddr address, std::size_t size, Protection protection) const;
    template <typename Write>
    void write_protected(std::uint64_t offset, std::size_t size, GuestAddr address, Protection protection, Write write);
    void will_write(std::uint64_t offset, std::size_t size);
    void make_zero(std::uint64_t offset, std::size_t size, GuestAddr address, Protection protection);
    void note_remapped(GuestAddr begin, GuestAddr end) {
        if (image_) remapped_.add(begin, end);
    }
    bool is_unchanged(std::uint64_t page) const;
    void give_back(const std::vector<std::uint64_t>& pages);
    std::vector<std::uint64_t> unchanged_pages(GuestAddr begin, GuestAddr end) const;
    void forget_unchanged(GuestAddr begin, GuestAddr end);
    void note_peak() { peak_ = std::max(peak_, dirty_.size() + unchanged_); }
    void narrow_tables(GuestAddr begin, GuestAddr end);
    Window::Contents image_contents(int clock_page) const;
    void use_huge_pages();
    std::vector<Range> ranges_to_undo() const;
    void restore_mappings();
    void map_as_image(Range range);

    Limits limits_;
    std::shared_ptr<const MemoryImage> image_;
    Window window_;
    x86::PageTables tables_;
    AddressBlocks blocks_;
    Refusal refusal_ = Refusal::none;
    AddressBlocks asked_;  // of these, what is the program's or this request has asked for
    Regions regions_;
    SharedArea shared_;
    DirtyPages dirty_;
    DirtyPages used_;            // pages that differed from the image at a reset of this period
    unsigned resets_ = 0;        // of this period
    std::size_t unchanged_ = 0;  // pages given back since the last reset that had not been changed
    std::size_t peak_ = 0;       // the most pages of its own since then, these included
    std::size_t last_peak_ = 0;  // of the request before
    RemappedRanges remapped_;    // where mappings may differ from the image's
    bool mappings_changed_ = false;
    bool mappings_unknown_ = false;
    bool executable_added_ = false;
};

// Calls visit(window offset, size, guest address) for the parts of [begin, end) that have a place in the window.
template <typename Visit>
void GuestMemory::for_each_piece(GuestAddr begin, GuestAddr end, Visit visit) const {
    const auto& runs = blocks_.runs();
    auto run = std::lower_bound(runs.begin(), runs.end(), begin,
                                [](const AddressBlocks::Run& r, GuestAddr a) { return r.end <= a; });
    for (; run != runs.end() && run->begin < end; ++run) {
        const GuestAddr from = std::max(begin, run->begin), to = std::min(end, run->end);
        visit(run->offset + (from - run->begin), std::size_t{to - from}, from);
    }
}

}  // namespace tinykvm
