// The data of a guest's in-memory files.
//
// It is in the file area: blocks of guest-physical memory that no guest address belongs to. So the host reads and
// writes it like other guest memory, its pages count as changed, come from the image and are reset like all others, and
// a file is neither copied for a fork nor for a reset. A shared mapping of a file is entries of the guest's page tables
// for the very pages of the area; they are added when they are touched, and taken back before a page is anything
// else's.
//
// A page of the area that no file has is zero, or as in the image; one that a file gets is zero.
//
// Owned by GuestMemory. Thread safety: one thread at a time, while the guest stands still. Offsets and sizes are in
// bytes. Errors: MachineError when the host refuses; OutOfMemory never: a file that has no room gets -ENOSPC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "tinykvm/memory/address_space.hpp"
#include "tinykvm/memory/changed_pages.hpp"
#include "tinykvm/memory/copy_on_write.hpp"
#include "tinykvm/memory/file_pages.hpp"
#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/memory/memory_limits.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class FileMemory {
  public:
    FileMemory(const MemoryLimits& limits, GuestPhysicalMemory& physical, AddressSpace& addresses,
               ChangedPages& changes, const MemoryImage* image);

    // --- Bytes

    std::uint64_t size(FileId file) const { return pages_->size(file); }
    // Bytes of its pages, without holes.
    std::uint64_t allocated(FileId file) const { return pages_->count(file) * page_size; }
    // The longest piece from `offset` on that is at most `size` long and contiguous on the host; empty at the end of
    // the file. Valid until the guest runs or a file changes.
    std::span<const std::byte> readable(FileId file, std::uint64_t offset, std::size_t size) const;
    // The same to be written, also after the end of the file, whose size does not change. Returns 0 or -ENOSPC.
    [[nodiscard]] int writable(FileId file, std::uint64_t offset, std::size_t size, std::span<std::byte>& piece);

    // What is after the end is gone, also from mappings.
    void resize(FileId file, std::uint64_t size);
    // Gives the pages of [begin, end) to the file. Returns 0 or -ENOSPC; then the file is as it was.
    [[nodiscard]] int allocate(FileId file, std::uint64_t begin, std::uint64_t end);
    // Makes [begin, end) zero: whole pages of it become holes.
    void make_hole(FileId file, std::uint64_t begin, std::uint64_t end);
    // Gives back all the file has. Nothing may map it.
    void remove(FileId file);
    // The first offset from `offset` on with data (in a hole); nullopt: there is none before the end of the file.
    std::optional<std::uint64_t> find_data(FileId file, std::uint64_t offset) const;
    std::uint64_t find_hole(FileId file, std::uint64_t offset) const;

    // --- Room. Files share the guest's limit of memory with all else, and leave a part of it to the rest of the
    // program.

    struct Room {
        std::uint64_t all = 0, free = 0, available = 0;  // bytes; `available` is what files may take of `free`
    };
    Room room() const;
    // Has there been no room for something since this was called last?
    bool take_refusal() { return std::exchange(refused_, false); }
    // Says what the names of files take of the host's memory now; it counts like the data.
    void set_names_size(std::size_t bytes);
    // May names take so many bytes more?
    bool has_room_for_name(std::size_t bytes) { return has_room((bytes + page_size - 1) / page_size, 0); }

    // --- Shared mappings (Region::shared_file)

    enum class Fault {
        none,        // no shared mapping is there, or nothing was missing
        mapped,      // the guest can go on
        beyond_end,  // the page is after the end of the file
        no_room,
    };
    // Makes the page at a guest address accessible, as its mapping says.
    Fault fault_in(GuestAddr address);
    // Makes those pages of shared mappings in the range accessible that the files have.
    void populate(GuestRange range);
    // The bytes of a mapping from `address` on, at most `size`; as readable() and writable(), but up to the end of the
    // last page. Empty where no shared mapping with that right is.
    std::span<const std::byte> mapped(GuestAddr address, std::size_t size) const;
    std::span<std::byte> mapped_writable(GuestAddr address, std::size_t size);
    // How many bytes from `address` on, at most `size`, are in a shared mapping with that right and in its file.
    std::size_t mapped_size(GuestAddr address, std::size_t size, AddressSpace::Right right) const;

    // --- Snapshot and reset

    // What an image keeps of it: the pages themselves are in its file.
    const CopyOnWrite<FilePages>& pages() const { return pages_; }
    std::size_t names_size() const { return names_size_; }
    void reset();

  private:
    struct Place {
        FileId file = 0;
        std::uint64_t offset = 0;
        std::size_t size = 0;  // 0: no shared mapping with that right is there
    };

    Place place_of(GuestAddr address, std::size_t size, AddressSpace::Right right) const;
    bool has_room(std::uint64_t changed_pages, std::uint64_t new_pages);
    bool fits(std::uint64_t changed_pages, std::uint64_t new_pages);
    bool take_page(FileId file, std::uint64_t page);
    std::span<const std::byte> page_piece(FileId file, std::uint64_t offset, std::size_t size) const;
    void release(std::uint64_t area_page, std::uint64_t count);
    void zero_part(FileId file, std::uint64_t begin, std::uint64_t end);
    void drop_pages(FileId file, std::uint64_t first, std::uint64_t last);
    PhysicalRange physical_run(const FilePages::Run& run) const;
    std::uint64_t limit_for_files() const { return limits_.bytes - limits_.bytes / 16; }
    std::uint64_t new_pages() const;
    void count_host_bytes();

    const MemoryLimits& limits_;
    GuestPhysicalMemory& physical_;
    AddressSpace& addresses_;
    ChangedPages& changes_;
    const MemoryImage* image_;  // null while the program boots
    CopyOnWrite<FilePages> pages_;
    std::size_t names_size_ = 0;
    bool refused_ = false;
    std::uint64_t allowance_ = 0;  // so many pages may change before the limit is looked at again
};

}  // namespace tinykvm
