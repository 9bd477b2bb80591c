// The memory of a booted program, frozen: the pages that are not zero in a sealed memfd, and what is mapped where.
//
// Shared by a snapshot and its forks. Thread safety: immutable, except what file_copies keeps and
// working_set learns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tinykvm/memory/address_blocks.hpp"
#include "tinykvm/memory/copy_on_write.hpp"
#include "tinykvm/memory/file_copies.hpp"
#include "tinykvm/memory/file_pages.hpp"
#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/memory/page_tables.hpp"
#include "tinykvm/memory/ranges.hpp"
#include "tinykvm/memory/regions.hpp"
#include "tinykvm/memory/shared_memory.hpp"
#include "tinykvm/memory/working_set.hpp"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/os/mapping.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

// Where in a guest its shared memory is.
struct SharedArea {
    std::shared_ptr<const SharedMemory> memory;  // null: there is none
    GuestAddr begin = 0, end = 0;
    std::uint64_t offset = 0;  // in the window

    bool overlaps(GuestAddr from, GuestAddr to) const { return from < end && begin < to; }
    bool holds_page(std::uint64_t window_page) const {
        return window_page - offset / page_size < (end - begin) / page_size;
    }
};

struct MemoryImage {
    // What a reset maps where a request has changed mappings: sorted by offset, disjoint. What is in none of them is
    // not accessible.
    struct Piece {
        enum class Backing { zero, file, shared };
        std::uint64_t offset, size;  // in the window
        Protection protection;
        Backing backing;
        std::uint64_t file_offset;  // of `file`, or of the shared memory

        template <typename Archive>
        void archive(Archive& archive) {
            archive(offset, size, protection, backing, file_offset);
        }
    };

    FileDescriptor file;  // memfd, sealed; or the file of a snapshot that was loaded (cold/snapshot_file.hpp)
    Mapping view;         // all of it, read-only; holes are not to be touched
    // Where a new fork maps which part of the file; ascending. Zero pages in an extent are holes of the file. Page
    // tables say what the guest may do with it.
    std::vector<FileExtent> extents;
    std::vector<Piece> pieces;
    std::size_t data_pages = 0;               // number of pages that are not zero
    std::vector<std::uint32_t> page_numbers;  // window page -> page of the file + 1; 0: zero
    std::uint64_t window_end = 0;
    AddressBlocks blocks;
    Regions regions;
    SharedArea shared;
    std::shared_ptr<FileCopies> file_copies;  // of files that requests map; null: each request copies for itself
    x86::PageTables::State page_tables;
    const std::unique_ptr<WorkingSet> working_set = std::make_unique<WorkingSet>();
    // In-memory files (FileMemory): where the blocks of the file area are in the window, what is in which page of it,
    // and what the names of files take of the host's memory.
    std::vector<std::uint64_t> file_blocks;
    CopyOnWrite<FilePages> files;
    std::size_t file_names_size = 0;

    // Notes where the memory is that all VMs of the program share, and what they may do with it.
    void add_shared(const SharedArea& area, Protection protection);
    // What the guest-physical memory of a new fork begins with. `clock_page`: see GuestMemory.
    GuestPhysicalMemory::Contents contents(int clock_page) const;
    // The page's contents; nullptr: zero.
    const std::byte* page(std::uint64_t window_page) const {
        if (window_page >= page_numbers.size() || page_numbers[window_page] == 0) return nullptr;
        return view.data() + std::size_t{page_numbers[window_page] - 1} * page_size;
    }
};

}  // namespace tinykvm
