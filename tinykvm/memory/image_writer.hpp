// Writes the pages of a MemoryImage into its sealed memfd and records what of it is where.
//
// Borrows the image and the memory. Thread safety: one thread, while no guest runs on the memory. Offsets are of
// guest-physical memory, in bytes; pages are numbered from its begin. Errors: MachineError when the host refuses.
#pragma once

#include <cstdint>
#include <vector>

#include "tinykvm/memory/guest_physical_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/memory/ranges.hpp"

namespace tinykvm {

class ImageWriter {
  public:
    // Memory with one protection, and the numbers of the pages in it that are not zero, ascending.
    struct Part {
        PhysicalRange range;
        Protection protection;
        std::vector<std::uint64_t> pages;
    };

    ImageWriter(MemoryImage& image, const GuestPhysicalMemory& physical);

    // Sets file, view, extents, pieces, data_pages and page_numbers of the image. To be called once.
    void write(std::vector<Part> parts);

  private:
    // Pages [first, last).
    struct PageRange {
        std::uint64_t first, last;
    };

    template <typename Joins>
    static std::vector<PageRange> join(const std::vector<std::uint64_t>& pages, Joins joins);
    std::uint64_t place(const std::vector<std::uint64_t>& pages);
    std::vector<FileExtent>::const_iterator first_ending_after(std::uint64_t offset) const;
    void add_pieces(const Part& part);
    void add_zero(PhysicalRange range, Protection protection);
    void write_data(PageRange pages);
    void seal(std::uint64_t size);

    MemoryImage& image_;
    const GuestPhysicalMemory& physical_;
};

}  // namespace tinykvm
