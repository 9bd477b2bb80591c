// A guest's memory: its mappings, and the only way to its bytes.
//
// Guest memory is host memory. AddressSpace knows what is mapped where, ChangedPages what of it is not as in the image;
// here the two are kept in step, and bytes go in and out.
//
// Addresses and lengths come from the guest: every function checks them with arithmetic that cannot wrap.
//
// Owned by Guest. Thread safety: one thread at a time, while the guest stands still. Sizes are in bytes. Errors:
// MachineError when the host refuses, OutOfMemory when the limit does not allow a change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "tinykvm/memory/address_space.hpp"
#include "tinykvm/memory/changed_pages.hpp"
#include "tinykvm/memory/file_memory.hpp"
#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/memory/memory_limits.hpp"
#include "tinykvm/memory/ranges.hpp"
#include "tinykvm/memory/regions.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

namespace kvm {
class Vm;
}

class GuestMemory {
  public:
    using Limits = MemoryLimits;
    using Refusal = AddressSpace::Refusal;

    // `clock_page`: a memfd of one page that is mapped at x86::clock_page, shared by all guests that get it; -1: a page
    // of zeros. The caller keeps it open.

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
    // A string without its terminating NUL; nullopt also when there is none within `max` bytes.
    std::optional<std::string> read_string(GuestAddr from, std::size_t max) const;

    // Direct access without a copy: the host memory of the longest piece that starts at the address, is at most `size`
    // long and contiguous on the host. Empty when the first byte is not accessible. Walk longer ranges piece by piece.
    // Valid until the guest runs or a mapping changes. The guest is hostile: if it may run meanwhile, bytes may change
    // under the reader. writable() and write() count the pages as changed and throw OutOfMemory when the limit does not
    // allow that.
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
    // x86::user_end. Each returns 0 or a negative errno; on an error nothing has changed. Shared memory stays
    // where it is: -EPERM.

    // Fresh zero pages, replacing what was there.
    [[nodiscard]] int map(GuestAddr begin, std::size_t size, Protection protection, std::string name = {});
    // A copy-on-write view of a file from `offset` on (whole pages), which must be in it; zero after its end. What is
    // not written does not count as changed. For forks only.
    [[nodiscard]] int map_file(GuestAddr begin, std::size_t size, Protection protection, std::string name,
                               std::shared_ptr<const FileCopy> file, std::uint64_t offset);
    FileCopies* file_copies() const { return image_ ? image_->file_copies.get() : nullptr; }
    // Shows the very pages of an in-memory file from `offset` on (whole pages), which need not be in it yet.
    [[nodiscard]] int map_shared_file(GuestAddr begin, std::size_t size, Protection protection, std::string name,
                                      FileId file, std::uint64_t offset);
    [[nodiscard]] int unmap(GuestAddr begin, std::size_t size);
    // -ENOMEM when a part is not mapped.
    [[nodiscard]] int protect(GuestAddr begin, std::size_t size, Protection protection);
    // Sets what `change` sets in the traits of the mappings there.
    [[nodiscard]] int mark(GuestAddr begin, std::size_t size, const std::function<void(MappingTraits&)>& change) {
        return addresses_.mark({begin, begin + size}, change);
    }
    // Makes zero what is to be zero in forks (MADV_WIPEONFORK).
    void wipe_for_forks();
    // Makes the pages zero again, or those of the file (MADV_DONTNEED of private memory).
    [[nodiscard]] int discard(GuestAddr begin, std::size_t size);
    // Where a new mapping of `size` bytes goes: `hint` if it is free, else the highest gap below the stack.
    std::optional<GuestAddr> find_free(std::size_t size, GuestAddr hint = 0, std::size_t alignment = page_size) const {
        return addresses_.find_free(size, hint, alignment);
    }
    // The same for map_shared_file().
    std::optional<GuestAddr> find_free_for_file(std::size_t size, GuestAddr hint = 0) const {
        return addresses_.find_free_for_file(size, hint);
    }
    // The highest gap in [low, high).
    std::optional<GuestAddr> find_gap(std::size_t size, GuestAddr low, GuestAddr high,
                                      std::size_t alignment = page_size) const {
        return addresses_.find_gap(size, low, high, alignment);
    }
    const Regions& regions() const { return addresses_.regions(); }
    // What the guest's page tables hold now.
    std::vector<x86::MappedRange> mapped_ranges() const { return addresses_.tables().mapped_ranges(); }
    bool is_closed(GuestAddr begin, GuestAddr end) const { return addresses_.is_closed(begin, end); }
    // Which limit has made a change of mappings fail with -ENOMEM since this was called last.
    Refusal take_refusal() { return addresses_.take_refusal(); }
    // The most mappings there may be.
    std::size_t max_regions() const { return addresses_.max_regions(); }

    // Maps `memory`, readable and writable, at a place of its choice; while the program boots, at most once. It is not
    // counted as changed, is the same in all forks, and reset() leaves it alone: other VMs may write to it at any
    // time, also while the host reads. False when there is no room.
    [[nodiscard]] bool share(std::shared_ptr<const SharedMemory> memory);
    const SharedArea& shared() const { return addresses_.shared(); }

    // --- In-memory files

    FileMemory& files() { return files_; }
    const FileMemory& files() const { return files_; }

    // --- Accounting

    const Limits& limits() const { return limits_; }
    // The pages this request changed, and what they count for; see ChangedPages.
    const ChangedPages& changes() const { return changes_; }
    std::size_t own_bytes() const { return changes_.own_bytes(); }
    std::size_t changed_bytes() const { return changes_.changed_bytes(); }
    // Throws OutOfMemory when more than limits().bytes have been changed.
    void enforce_limit() { changes_.enforce_limit(); }
    // Takes note of pages the guest wrote, by their numbers (from the vCPU's dirty ring).
    void note_guest_writes(std::span<const std::uint64_t> pages) { changes_.note_guest_writes(pages); }

    // --- Snapshot and reset

    // The image of what is mapped now. The memory must not be used afterwards. Throws MachineError.
    std::shared_ptr<const MemoryImage> make_image(std::shared_ptr<FileCopies> file_copies = nullptr);
    // Makes private copies of the pages that requests are known to write, of a fork that has not run. Returns which
    // these are; a few ranges, or none.
    [[nodiscard]] std::vector<GuestRange> make_working_set_own();
    // Makes the memory equal to the image; returns the number of pages that were not. See ChangedPages::reset(). Throws
    // MachineError when the host refuses; the memory must not be used any more then.
    std::size_t reset();
    // Does reset() only copy a few pages?
    bool resets_quickly() const;
    // After a failure that nothing is to be undone of: what was taken beyond the limit stays and is the limit for now,
    // so that a program can go on that needs no more, or gives some back. False when that is too much more, or mappings
    // are unknown because a change of them failed half-way.
    bool tolerate_failure();
    // True when only a new VM can be equal to the image, because pages became executable or requests have used up too
    // much of guest-physical memory; or when a new VM is cheaper, because there are too many mappings to undo.
    bool needs_rebuild() const { return addresses_.needs_rebuild(changes_.own()); }

    // --- For the VM

    std::uint64_t page_table_root() const { return addresses_.tables().root(); }
    // The system block (x86/layout.hpp), readable and writable for the host.
    std::byte* system_block() const { return physical_.host(0); }
    void use_small_pages() { physical_.use_small_pages(); }
    // Says that the guest does not run any more and make_image() comes next: what is mapped from now on exists in forks
    // only.
    void finish() { physical_.finish(); }
    std::size_t reserved_huge() const { return physical_.reserved_huge(); }

  private:
    using Right = AddressSpace::Right;

    bool allows(GuestAddr address, std::size_t size, Right right) const;
    void forget_changes(GuestRange range);
    void make_zero(PhysicalRange piece, GuestAddr address, Protection protection);

    Limits limits_;
    std::size_t configured_bytes_ = limits_.bytes;  // tolerate_failure() may allow more, until reset()
    std::shared_ptr<const MemoryImage> image_;      // null while the program boots
    GuestPhysicalMemory physical_;
    AddressSpace addresses_;
    ChangedPages changes_;
    FileMemory files_;
    bool has_told_ = false;  // what requests write, or need not any more
};

}  // namespace tinykvm
