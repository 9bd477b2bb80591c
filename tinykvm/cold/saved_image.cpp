#include "tinykvm/cold/saved_image.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "tinykvm/cold/archive.hpp"
#include "tinykvm/cold/checksums.hpp"
#include "tinykvm/cold/file_io.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/memory/host_page.hpp"

namespace tinykvm::cold {

namespace {

// How much is read at once: it stays in a cache of the CPU. A multiple of three pages (checksum_pages()).
constexpr std::size_t pages_at_once = 96;

// Where in the file a page is that is not zero.
std::uint64_t offset_of(const MemoryImage& image, std::uint64_t page) {
    return std::uint64_t{image.page_numbers[page] - 1} * page_size;
}

std::vector<PageRun> runs_of(const MemoryImage& image) {
    std::vector<PageRun> runs;
    for (std::uint64_t page = 0; page < image.page_numbers.size(); ++page) {
        if (image.page_numbers[page] == 0) continue;
        const bool goes_on = !runs.empty() && runs.back().first + runs.back().count == page &&
                             image.page_numbers[page] == image.page_numbers[page - 1] + 1;
        if (goes_on)
            ++runs.back().count;
        else
            runs.push_back({page, 1});
    }
    return runs;
}

}  // namespace

SavedImage::SavedImage(std::shared_ptr<const MemoryImage> image)
    : image_(std::move(image)),
      window_end_(image_->window_end),
      blocks_(image_->blocks),
      regions_(image_->regions),
      page_tables_(image_->page_tables),
      file_blocks_(image_->file_blocks),
      files_(image_->files),
      file_names_size_(image_->file_names_size),
      extents_(image_->extents),
      pieces_(image_->pieces),
      runs_(runs_of(*image_)) {
    if (image_->shared.memory) throw MachineError("the program has memory that all its VMs share (shared_memory)");
    const std::uint64_t begin = extents_.empty() ? 0 : extents_.front().file_offset;
    for (FileExtent& extent : extents_) extent.file_offset -= begin;
    for (MemoryImage::Piece& piece : pieces_)
        if (piece.backing == MemoryImage::Piece::Backing::file) piece.file_offset -= begin;
    for (const PageRun& run : runs_) {
        const std::size_t before = checksums_.size();
        checksums_.resize(before + run.count);
        checksum_pages({image_->page(run.first), run.count * page_size}, std::span(checksums_).subspan(before));
    }
}

void SavedImage::write(int file, std::uint64_t begin) const {
    const std::uint64_t first = image_->extents.empty() ? 0 : image_->extents.front().file_offset;
    for (const PageRun& run : runs_)
        write_all(file, {image_->page(run.first), run.count * page_size},
                  begin + offset_of(*image_, run.first) - first);
    std::uint64_t size = 0;
    for (const FileExtent& extent : extents_) size += extent.size;
    if (::ftruncate(file, static_cast<off_t>(begin + size)) != 0)
        throw MachineError::from_errno("the pages cannot be written", errno);
}

std::shared_ptr<MemoryImage> SavedImage::open(FileDescriptor file, std::uint64_t begin) {
    auto image = std::make_shared<MemoryImage>();
    image->window_end = window_end_;
    image->blocks = blocks_;
    image->regions = regions_;
    image->page_tables = page_tables_;
    image->file_blocks = file_blocks_;
    image->files = files_;
    image->file_names_size = file_names_size_;
    place_pages(*image, begin);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw MachineError::from_errno("its size cannot be read", errno);
    const std::uint64_t end = extents_.empty() ? begin : image->extents.back().file_offset + extents_.back().size;
    require(static_cast<std::uint64_t>(status.st_size) == end, "it does not have the size it should have");
    image->file = std::move(file);
    check_pages(*image);
    check_holes(*image);
    image->view = Mapping("cannot map a snapshot file", end, PROT_READ, MAP_PRIVATE, image->file.get());
    return image;
}

// Every extent and run is checked, so that all pages are in the window and in the file.
void SavedImage::place_pages(MemoryImage& image, std::uint64_t begin) const {
    constexpr std::uint64_t most = std::uint64_t{1} << 40;
    require(window_end_ <= most && window_end_ % large_page_size == 0, "its memory has an impossible size");
    std::uint64_t at = page_size, in_file = 0;  // the first page is the clock's
    for (const FileExtent& extent : extents_) {
        require(extent.offset >= at && extent.offset <= window_end_ && extent.size > 0 &&
                    extent.size <= window_end_ - extent.offset && (extent.offset | extent.size) % page_size == 0 &&
                    extent.file_offset == in_file,
                "its pages are at impossible places");
        image.extents.push_back({extent.offset, extent.size, begin + in_file});
        at = extent.end();
        in_file += extent.size;
    }
    image.pieces = pieces_;
    for (MemoryImage::Piece& piece : image.pieces)
        if (piece.backing == MemoryImage::Piece::Backing::file) piece.file_offset += begin;
    image.page_numbers.resize(window_end_ / page_size);
    auto extent = image.extents.begin();
    std::uint64_t next = 0;
    for (const PageRun& run : runs_) {
        require(run.first >= next && run.first < image.page_numbers.size() && run.count > 0,
                "its pages are in disorder");
        while (extent != image.extents.end() && extent->end() <= run.first * page_size) ++extent;
        require(extent != image.extents.end() && extent->offset <= run.first * page_size &&
                    run.count <= (extent->end() - run.first * page_size) / page_size,
                "its pages are outside of its memory");
        const std::uint64_t number = (extent->file_offset + run.first * page_size - extent->offset) / page_size + 1;
        for (std::uint64_t page = 0; page < run.count; ++page)
            image.page_numbers[run.first + page] = static_cast<std::uint32_t>(number + page);
        image.data_pages += run.count;
        next = run.first + run.count;
    }
    require(image.data_pages == checksums_.size(), "its pages and their checksums are not equally many");
}

void SavedImage::check_pages(const MemoryImage& image) const {
    std::vector<std::byte> buffer(pages_at_once * page_size);
    std::vector<std::uint32_t> found(pages_at_once);
    std::size_t checked = 0;
    for (const PageRun& run : runs_) {
        for (std::uint64_t page = 0; page < run.count;) {
            const std::size_t count = std::min<std::uint64_t>(pages_at_once, run.count - page);
            const std::span<std::byte> bytes = std::span(buffer).first(count * page_size);
            read_all(image.file.get(), bytes, offset_of(image, run.first + page));
            checksum_pages(bytes, std::span(found).first(count));
            require(std::equal(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count),
                               checksums_.begin() + static_cast<std::ptrdiff_t>(checked)),
                    "its pages do not have their checksums");
            page += count;
            checked += count;
        }
    }
}

// Between the pages the file must be zero, because forks map these parts, too. Holes are not read.
void SavedImage::check_holes(const MemoryImage& image) const {
    std::vector<std::byte> page(page_size);
    const auto check = [&](std::uint64_t begin, std::uint64_t end) {
        while (begin < end) {
            const off_t data = ::lseek(image.file.get(), static_cast<off_t>(begin), SEEK_DATA);
            if (data < 0 && errno == ENXIO) return;
            begin = data < 0 ? begin : std::max(begin, page_floor(static_cast<std::uint64_t>(data)));
            if (begin >= end) return;
            read_all(image.file.get(), page, begin);
            require(is_zero(page.data()), "it has something between its pages");
            begin += page_size;
        }
    };
    auto run = runs_.begin();
    for (const FileExtent& extent : image.extents) {
        std::uint64_t at = extent.file_offset;
        for (; run != runs_.end() && run->first * page_size < extent.end(); ++run) {
            check(at, offset_of(image, run->first));
            at = offset_of(image, run->first) + run->count * page_size;
        }
        check(at, extent.file_offset + extent.size);
    }
}

}  // namespace tinykvm::cold
