#include "tinykvm/memory/image_writer.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "tinykvm/errors.hpp"

namespace tinykvm {

namespace {

// Pages with data are in one extent when no huge page fits between them, because each mapping makes every new VM of the
// process more expensive. How many would have to fit is doubled until a fork needs no more than so many mappings for
// data.
constexpr std::uint64_t pages_of_block = large_page_size / page_size;
constexpr std::size_t max_extents = 256;

// How many whole blocks are in [first, last)?
std::uint64_t blocks_between(std::uint64_t first, std::uint64_t last) {
    const std::uint64_t begin = (first + pages_of_block - 1) / pages_of_block, end = last / pages_of_block;
    return end - std::min(begin, end);
}

using Backing = MemoryImage::Piece::Backing;

}  // namespace

ImageWriter::ImageWriter(MemoryImage& image, const GuestPhysicalMemory& physical) : image_(image), physical_(physical) {
    const int fd = ::memfd_create("tinykvm snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) throw MachineError::from_errno("cannot create a snapshot file (memfd_create)", errno);
    image_.file = FileDescriptor(fd);
    image_.page_numbers.resize(physical.allocated() / page_size);
}

void ImageWriter::write(std::vector<Part> parts) {
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.range.begin < b.range.begin; });
    std::vector<std::uint64_t> pages;
    for (const Part& part : parts) pages.insert(pages.end(), part.pages.begin(), part.pages.end());
    const std::uint64_t size = place(pages);
    for (const Part& part : parts) add_pieces(part);
    for (const PageRange range : join(pages, std::equal_to<>())) write_data(range);
    seal(size);
    image_.data_pages = pages.size();
}

// `pages`, ascending, as ranges. joins(last, page): are what ends before `last` and begins at `page` in one?
template <typename Joins>
std::vector<ImageWriter::PageRange> ImageWriter::join(const std::vector<std::uint64_t>& pages, Joins joins) {
    std::vector<PageRange> ranges;
    for (const std::uint64_t page : pages) {
        if (!ranges.empty() && joins(ranges.back().last, page))
            ranges.back().last = page + 1;
        else
            ranges.push_back({page, page + 1});
    }
    return ranges;
}

// Gives all pages a place in the file, and returns its size.
std::uint64_t ImageWriter::place(const std::vector<std::uint64_t>& pages) {
    const auto extents = [&](std::uint64_t blocks) {
        return join(pages, [&](std::uint64_t last, std::uint64_t page) { return blocks_between(last, page) < blocks; });
    };
    std::uint64_t blocks = 1;
    while (extents(blocks).size() > max_extents) blocks *= 2;
    std::uint64_t size = 0;
    for (const PageRange range : extents(blocks)) {
        image_.extents.push_back({range.first * page_size, (range.last - range.first) * page_size, size});
        size += image_.extents.back().size;
    }
    return size;
}

std::vector<FileExtent>::const_iterator ImageWriter::first_ending_after(std::uint64_t offset) const {
    return std::lower_bound(image_.extents.cbegin(), image_.extents.cend(), offset,
                            [](const FileExtent& extent, std::uint64_t o) { return extent.end() <= o; });
}

void ImageWriter::add_pieces(const Part& part) {
    const std::uint64_t end = part.range.end;
    auto extent = first_ending_after(part.range.begin);
    for (std::uint64_t at = part.range.begin; at < end;) {
        std::uint64_t to = end;
        if (extent == image_.extents.end() || end <= extent->offset) {
            add_zero({at, end}, part.protection);
        } else if (at < extent->offset) {
            add_zero({at, to = extent->offset}, part.protection);
        } else {
            to = std::min(end, extent->end());
            image_.pieces.push_back(
                {at, to - at, part.protection, Backing::file, extent->file_offset + (at - extent->offset)});
            ++extent;
        }
        at = to;
    }
}

void ImageWriter::add_zero(PhysicalRange range, Protection protection) {
    if (protection.accessible()) image_.pieces.push_back({range.begin, range.size(), protection, Backing::zero, 0});
}

void ImageWriter::write_data(PageRange pages) {
    const std::uint64_t offset = pages.first * page_size;
    const auto extent = first_ending_after(offset);
    const std::uint64_t file_offset = extent->file_offset + (offset - extent->offset);
    for (std::uint64_t page = pages.first; page < pages.last; ++page)
        image_.page_numbers[page] = static_cast<std::uint32_t>(file_offset / page_size + (page - pages.first) + 1);
    const std::size_t size = (pages.last - pages.first) * page_size;
    for (std::size_t done = 0; done < size;) {
        const ssize_t n = ::pwrite(image_.file.get(), physical_.host(offset + done), size - done,
                                   static_cast<off_t>(file_offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw MachineError::from_errno("cannot write a snapshot file", n < 0 ? errno : EIO);
        done += static_cast<std::size_t>(n);
    }
}

// Gives the file its length, `size`, and makes it unchangeable.
void ImageWriter::seal(std::uint64_t size) {
    if (::ftruncate(image_.file.get(), static_cast<off_t>(size)) != 0)
        throw MachineError::from_errno("cannot write a snapshot file", errno);
    if (::fcntl(image_.file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        throw MachineError::from_errno("cannot seal a snapshot file", errno);
    image_.view = Mapping("cannot map a snapshot file", size, PROT_READ, MAP_PRIVATE, image_.file.get());
}

}  // namespace tinykvm
