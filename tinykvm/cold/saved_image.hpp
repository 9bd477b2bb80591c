// A MemoryImage in a file: what is said of it beside its pages, and the pages themselves, which forks map from there.
//
// Thread safety: one thread. Errors: MachineError; Malformed when bytes are not those that were written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tinykvm/memory/image.hpp"
#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::cold {

// Pages of the window that follow each other and are not zero.
struct PageRun {
    std::uint64_t first = 0, count = 0;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(first, count);
    }
};

class SavedImage {
  public:
    SavedImage() = default;
    // Of an image that is to be written. Throws MachineError when it has memory that all VMs share, which lives on.
    explicit SavedImage(std::shared_ptr<const MemoryImage> image);

    // Writes the pages from `begin` of the file on; zero pages are holes.
    void write(int file, std::uint64_t begin) const;

    // Of an image that was read: its pages are in the file from `begin` on, which is checked; the file becomes the
    // image's.
    std::shared_ptr<MemoryImage> open(FileDescriptor file, std::uint64_t begin);

    template <typename Archive>
    void archive(Archive& archive) {
        archive(window_end_, blocks_, regions_, page_tables_, file_blocks_, files_, file_names_size_, extents_, pieces_,
                runs_, checksums_);
    }

  private:
    void place_pages(MemoryImage& image, std::uint64_t begin) const;
    void check_pages(const MemoryImage& image) const;
    void check_holes(const MemoryImage& image) const;

    std::shared_ptr<const MemoryImage> image_;  // null of one that was read
    std::uint64_t window_end_ = 0;
    AddressBlocks blocks_;
    Regions regions_;
    x86::PageTables::State page_tables_;
    std::vector<std::uint64_t> file_blocks_;
    CopyOnWrite<FilePages> files_;
    std::size_t file_names_size_ = 0;
    std::vector<FileExtent> extents_;  // places in the file are counted from the first page
    std::vector<MemoryImage::Piece> pieces_;
    std::vector<PageRun> runs_;             // ascending
    std::vector<std::uint32_t> checksums_;  // of the pages in the runs
};

}  // namespace tinykvm::cold
