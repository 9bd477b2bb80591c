// GuestMemory's way into a MemoryImage and back.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tinykvm/errors.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/memory/host_page.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// A page none of so many requests changed is given back. Keeping it costs 0.1 to 0.4 us at every reset, touching it
// again 25 us: after 64 resets the two are even, and a guess is never more than twice as dear as knowing better.
constexpr unsigned period = 64;
// What requests may make a fork's window grow by before it is rather built anew.
constexpr std::size_t max_growth = std::size_t{512} << 20;
// A reset with more ranges to map anew than this is dearer than a new VM. Live forks: 1, 100, 1000; undoing a range:
// 3, 16, 230 us; a new VM instead of the old one: 0.4, 0.8, 5 ms, and 25 us for each page of its working set.
constexpr std::size_t max_ranges_to_undo = 64;
// Runs of data closer than this become one mapping, because each one makes every new VM of the process dearer: no huge
// page fits between them. The distance is doubled until a fork needs no more than so many mappings for data.
constexpr std::uint64_t first_gap_pages = large_page_size / page_size - 1;
constexpr std::size_t max_extents = 256;

using Backing = MemoryImage::Piece::Backing;

struct PageRun {
    std::uint64_t first, last;  // window pages [first, last)
};

// Pages with data, in ascending order, as runs that may contain zero pages.
std::vector<PageRun> join(const std::vector<std::uint64_t>& pages, std::uint64_t gap) {
    std::vector<PageRun> runs;
    for (std::uint64_t page : pages) {
        if (!runs.empty() && page - runs.back().last <= gap)
            runs.back().last = page + 1;
        else
            runs.push_back({page, page + 1});
    }
    return runs;
}

// A part of the window with one protection, and the pages in it that are not zero.
struct Part {
    std::uint64_t offset, size;
    Protection protection;
    std::vector<std::uint64_t> pages;
};

class ImageWriter {
  public:
    ImageWriter(MemoryImage& image, const Window& window) : image_(image), window_(window) {
        int fd = ::memfd_create("tinykvm snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0) throw MachineError::from_errno("cannot create a snapshot file (memfd_create)", errno);
        image_.file = FileDescriptor(fd);
        image_.page_numbers.resize(window.allocated() / page_size);
    }

    void write(std::vector<Part> parts) {
        std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.offset < b.offset; });
        std::vector<std::uint64_t> pages;
        for (const Part& part : parts) pages.insert(pages.end(), part.pages.begin(), part.pages.end());
        std::uint64_t gap = first_gap_pages;
        while (join(pages, gap).size() > max_extents) gap *= 2;
        std::uint64_t file_offset = 0;
        for (const PageRun& run : join(pages, gap)) {
            image_.extents.push_back({run.first * page_size, (run.last - run.first) * page_size, file_offset});
            file_offset += image_.extents.back().size;
        }
        for (const Part& part : parts) add_pieces(part);
        for (const PageRun& run : join(pages, 0)) write_data(run);
        if (::ftruncate(image_.file.get(), static_cast<off_t>(file_offset)) != 0)
            throw MachineError::from_errno("cannot write a snapshot file", errno);
        if (::fcntl(image_.file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
            throw MachineError::from_errno("cannot seal a snapshot file", errno);
        image_.view = Mapping("cannot map a snapshot file", file_offset, PROT_READ, MAP_PRIVATE, image_.file.get());
        image_.data_pages = pages.size();
    }

  private:
    // The first extent that ends behind the offset.
    std::vector<MemoryImage::Extent>::const_iterator extent_behind(std::uint64_t offset) const {
        return std::lower_bound(image_.extents.cbegin(), image_.extents.cend(), offset,
                                [](const auto& extent, std::uint64_t o) { return extent.offset + extent.size <= o; });
    }
    void add_pieces(const Part& part) {
        const std::uint64_t end = part.offset + part.size;
        auto extent = extent_behind(part.offset);
        for (std::uint64_t at = part.offset; at < end;) {
            std::uint64_t to = end;
            if (extent == image_.extents.end() || end <= extent->offset) {
                add_zero(at, end, part.protection);
            } else if (at < extent->offset) {
                add_zero(at, to = extent->offset, part.protection);
            } else {
                to = std::min(end, extent->offset + extent->size);
                image_.pieces.push_back(
                    {at, to - at, part.protection, Backing::file, extent->file_offset + (at - extent->offset)});
                ++extent;
            }
            at = to;
        }
    }
    void add_zero(std::uint64_t begin, std::uint64_t end, Protection protection) {
        if (protection.accessible()) image_.pieces.push_back({begin, end - begin, protection, Backing::zero, 0});
    }
    void write_data(const PageRun& run) {
        const std::uint64_t offset = run.first * page_size;
        const auto extent = extent_behind(offset);
        const std::uint64_t file_offset = extent->file_offset + (offset - extent->offset);
        for (std::uint64_t page = run.first; page < run.last; ++page)
            image_.page_numbers[page] = static_cast<std::uint32_t>(file_offset / page_size + (page - run.first) + 1);
        const std::size_t size = (run.last - run.first) * page_size;
        for (std::size_t done = 0; done < size;) {
            ssize_t n = ::pwrite(image_.file.get(), window_.host(offset + done), size - done,
                                 static_cast<off_t>(file_offset + done));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) throw MachineError::from_errno("cannot write a snapshot file", n < 0 ? errno : EIO);
            done += static_cast<std::size_t>(n);
        }
    }

    MemoryImage& image_;
    const Window& window_;
};

}  // namespace

// The page tables of these addresses, which have one place in the window, grant what the regions say and nothing more,
// whatever was granted before: so forks of an image need no mappings of the host to hold anything back, and a request
// finds no traces of the one before.
void GuestMemory::narrow_tables(GuestAddr at, GuestAddr end) {
    const auto narrow = [&](GuestAddr from, GuestAddr to, Protection rights) {
        if (from < to && !tables_.narrow(from, to - from, rights))
            throw MachineError("no address space left for page tables");
    };
    const auto up_to = [&](GuestAddr to, Protection rights) {
        // The system block has its own rules.
        narrow(at, std::min(to, x86::system_begin), rights);
        narrow(std::max(at, x86::system_end), to, rights);
        at = std::max(at, to);
    };
    for (auto entry = regions_.behind(at); entry != regions_.end() && entry->first < end; ++entry) {
        up_to(entry->first, {});
        up_to(std::min(entry->second.end, end), entry->second.protection);
    }
    up_to(end, {});
}

std::shared_ptr<const MemoryImage> GuestMemory::make_image(std::shared_ptr<FileCopies> file_copies) {
    for (const AddressBlocks::Run& run : blocks_.runs()) narrow_tables(run.begin, run.end);
    std::vector<Part> parts;
    auto add = [&](std::uint64_t offset, std::size_t size, Protection protection, auto has_data) {
        Part part{offset, size, protection, {}};
        for (std::uint64_t page = offset / page_size; page < (offset + size) / page_size; ++page)
            if (has_data(page) && !is_zero(window_.host(page * page_size))) part.pages.push_back(page);
        parts.push_back(std::move(part));
    };
    // Tables and shim: not in the dirty set, the host alone writes them. The clock page is every fork's own affair.
    // Tables still to be given out are zero, and not looked at: that alone would make the host fault each of them in.
    const std::uint64_t unused = tables_.state().next / page_size, unused_end = tables_.state().end / page_size;
    for (std::uint64_t block : tables_.state().blocks)
        add(block, large_page_size, {.read = true, .write = true}, [&](std::uint64_t page) {
            return page != x86::clock_page_offset / page_size && !(unused <= page && page < unused_end);
        });
    // Pages under PROT_NONE may hold data that a later mprotect shows again.
    for (const auto& entry : regions_) {
        const Region& region = entry.second;
        if (region.begin >= x86::system_begin && region.begin < x86::system_end) continue;
        if (shared_.overlaps(region.begin, region.end)) continue;
        for_each_piece(region.begin, region.end, [&](std::uint64_t offset, std::size_t size, GuestAddr) {
            if (!region.protection.accessible()) window_.protect(offset, size, {.read = true});
            add(offset, size, region.protection, [&](std::uint64_t page) { return dirty_.contains(page); });
        });
    }

    auto image = std::make_shared<MemoryImage>();
    ImageWriter(*image, window_).write(std::move(parts));
    if (shared_.memory) {
        const MemoryImage::Piece piece{shared_.offset, shared_.memory->size(), regions_.find(shared_.begin)->protection,
                                       Backing::shared, 0};
        const auto place = std::find_if(image->pieces.begin(), image->pieces.end(),
                                        [&](const auto& other) { return other.offset > piece.offset; });
        image->pieces.insert(place, piece);
    }
    image->shared = shared_;
    image->file_copies = std::move(file_copies);
    image->window_end = window_.allocated();
    image->blocks = blocks_;
    image->regions = regions_;
    image->page_tables = tables_.state();
    return image;
}

// What a fork's window begins with; before anything but image_ is there.
Window::Contents GuestMemory::image_contents(int clock_page) const {
    Window::Contents contents{image_->window_end, {}};
    if (clock_page >= 0)
        contents.parts.push_back({x86::clock_page_offset, page_size, clock_page, 0, {.read = true}, true});
    const SharedArea& shared = image_->shared;
    constexpr std::uint64_t nowhere = std::numeric_limits<std::uint64_t>::max();
    const Range hole =
        shared.memory ? Range{shared.offset, shared.offset + shared.memory->size()} : Range{nowhere, nowhere};
    const auto add_data = [&](std::uint64_t begin, std::uint64_t end, const MemoryImage::Extent& extent) {
        if (begin < end)
            contents.parts.push_back(
                {begin, end - begin, image_->file.get(), extent.file_offset + (begin - extent.offset)});
    };
    for (const MemoryImage::Extent& extent : image_->extents) {
        const std::uint64_t end = extent.offset + extent.size;
        add_data(extent.offset, std::min(end, hole.begin), extent);
        add_data(std::max(extent.offset, hole.end), end, extent);
    }
    if (shared.memory) {
        const Window::Part part{hole.begin, hole.end - hole.begin, shared.memory->fd(), 0, {true, true}, true};
        const auto behind = [&](const Window::Part& other) { return other.offset > part.offset; };
        contents.parts.insert(std::find_if(contents.parts.begin(), contents.parts.end(), behind), part);
    }
    return contents;
}

void GuestMemory::use_huge_pages() {
    // From the end: the request area is last, and comes first.
    for (auto piece = image_->pieces.rbegin(); piece != image_->pieces.rend(); ++piece)
        if (piece->backing == Backing::zero) window_.use_huge_pages(piece->offset, piece->size, piece->protection);
}

void GuestMemory::map_as_image(Range range) {
    const auto& pieces = image_->pieces;
    auto piece = std::lower_bound(pieces.begin(), pieces.end(), range.begin,
                                  [](const auto& p, std::uint64_t offset) { return p.offset + p.size <= offset; });
    std::uint64_t at = range.begin;
    for (; piece != pieces.end() && piece->offset < range.end; ++piece) {
        const std::uint64_t to = std::min(range.end, piece->offset + piece->size);
        if (at < piece->offset) window_.unmap(at, piece->offset - at);
        at = std::max(at, piece->offset);
        const std::uint64_t in_file = piece->file_offset + (at - piece->offset);
        switch (piece->backing) {
            case Backing::zero: window_.map_zero(at, to - at, piece->protection); break;
            case Backing::file: window_.map_copy(at, to - at, piece->protection, image_->file.get(), in_file); break;
            case Backing::shared:
                window_.map_shared(at, to - at, piece->protection, shared_.memory->fd(), in_file);
                break;
        }
        at = to;
    }
    if (at < range.end) window_.unmap(at, range.end - at);
}

void GuestMemory::restore_mappings() {
    if (!mappings_changed_) return;
    for (const Range& range : ranges_to_undo()) {
        map_as_image(range);
        dirty_.remove(range.begin / page_size, range.end / page_size);
    }
    regions_ = image_->regions;
    asked_ = image_->blocks;
    // Behind the new mappings KVM knows nothing of the old entries any more, also with shadow paging.
    for (const AddressRange& range : remapped_.joined())
        for_each_piece(range.begin, range.end, [&](std::uint64_t, std::size_t size, GuestAddr address) {
            narrow_tables(address, address + size);
        });
    remapped_.clear();
    mappings_changed_ = false;
}

std::size_t GuestMemory::reset() {
    restore_mappings();
    const bool end_of_period = ++resets_ == period;
    const std::size_t most = std::min(limits_.kept, limits_.bytes) / page_size;
    std::size_t kept = 0, restored = 0;
    std::vector<std::uint64_t> rest;
    const std::size_t own = dirty_.size();
    // In the order of the window, so that the same pages are kept each time: the program's own before those of the
    // request area.
    dirty_.for_each([&](std::uint64_t page) {
        const bool unchanged = is_unchanged(page);
        restored += !unchanged;
        if (!unchanged) used_.add(page);
        if (kept == most || (end_of_period && !used_.contains(page))) {
            rest.push_back(page);
            return;
        }
        ++kept;
        if (unchanged) return;
        std::byte* host = window_.host(page * page_size);
        if (const std::byte* base = image_->page(page))
            std::memcpy(host, base, page_size);
        else
            std::memset(host, 0, page_size);
    });
    give_back(rest);
    // Pages that are unchanged now, or were when they were given back, count at no time.
    last_peak_ = peak_ - unchanged_ - (own - restored);
    unchanged_ = 0;
    peak_ = dirty_.size();
    if (end_of_period) {
        used_ = {};
        resets_ = 0;
    }
    return restored;
}

bool GuestMemory::resets_quickly() const {
    constexpr std::size_t few_pages = 64;
    return !mappings_changed_ && dirty_.size() <= few_pages && own_bytes() <= limits_.kept && !needs_rebuild();
}

bool GuestMemory::needs_rebuild() const {
    if (!image_) return false;
    if (mappings_unknown_) return true;
    if (ranges_to_undo().size() > max_ranges_to_undo) return true;
    return executable_added_ || tables_.state().blocks.size() > image_->page_tables.blocks.size() ||
           window_.allocated() - image_->window_end > kept_growth(growth_of_a_request());
}

std::uint64_t GuestMemory::kept_growth(std::uint64_t growth_of_a_request) {
    return std::min<std::uint64_t>(max_growth, growth_of_a_request / 2);
}

}  // namespace tinykvm
