#include "tinykvm/cold/image_check.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tinykvm/cold/archive.hpp"
#include "tinykvm/memory/address_space.hpp"
#include "tinykvm/x86/layout.hpp"
#include "tinykvm/x86/system_block.hpp"

namespace tinykvm::cold {

namespace {

constexpr std::size_t max_regions = 8192;  // more than AddressSpace allows while a program boots
constexpr std::size_t max_name = 4096;

// --- What has a place in guest-physical memory

// Blocks of addresses, of page tables and of files: each has memory of its own.
void check_places(const MemoryImage& image) {
    const char* const problem = "its memory is at impossible places";
    std::vector<PhysicalRange> used;
    GuestAddr last = 0;
    bool has_system_block = false;
    for (const PlacedRange& range : image.blocks.ranges()) {
        require(range.begin >= last && range.begin < range.end &&
                    range.end <= (x86::user_end | (large_page_size - 1)) &&
                    (range.begin | range.end | range.offset) % large_page_size == 0 &&
                    range.offset <= image.window_end && range.end - range.begin <= image.window_end - range.offset,
                problem);
        last = range.end;
        used.push_back({range.offset, range.offset + (range.end - range.begin)});
        const GuestAddr system = x86::system_begin;
        if (range.begin <= system && system < range.end) has_system_block = range.offset + (system - range.begin) == 0;
    }
    require(has_system_block && !image.page_tables.blocks.empty() && image.page_tables.blocks.front() == 0, problem);
    std::vector<std::uint64_t> single(image.page_tables.blocks.begin() + 1, image.page_tables.blocks.end());
    single.insert(single.end(), image.file_blocks.begin(), image.file_blocks.end());
    for (const std::uint64_t block : single) {
        require(block % large_page_size == 0 && block < image.window_end, problem);
        used.push_back({block, block + large_page_size});
    }
    std::sort(used.begin(), used.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < used.size(); ++i) require(used[i - 1].end <= used[i].begin, problem);
}

void check_pieces(const MemoryImage& image) {
    std::uint64_t at = 0;
    auto extent = image.extents.begin();
    for (const MemoryImage::Piece& piece : image.pieces) {
        require(piece.offset >= at && piece.offset <= image.window_end && piece.size > 0 &&
                    piece.size <= image.window_end - piece.offset && (piece.offset | piece.size) % page_size == 0,
                "its mappings are at impossible places");
        at = piece.offset + piece.size;
        if (piece.backing == MemoryImage::Piece::Backing::zero) continue;
        while (extent != image.extents.end() && extent->end() <= piece.offset) ++extent;
        require(piece.backing == MemoryImage::Piece::Backing::file && extent != image.extents.end() &&
                    extent->offset <= piece.offset && at <= extent->end() &&
                    piece.file_offset == extent->file_offset + (piece.offset - extent->offset),
                "its mappings show what is not in the file");
    }
}

void check_regions(const MemoryImage& image, const RequestArea& area, const Options& options) {
    const char* const problem = "its mappings have impossible addresses";
    require(image.regions.size() <= max_regions, problem);
    GuestAddr last = 0;
    for (const auto& [begin, region] : image.regions) {
        require(begin == region.begin && region.begin >= last && region.begin < region.end &&
                    (region.begin | region.end | region.file_offset) % page_size == 0 && region.end <= x86::user_end &&
                    region.file_offset < std::uint64_t{1} << 62 && region.name.size() <= max_name,
                problem);
        const bool is_system = region.begin >= x86::system_begin && region.end <= x86::system_end;
        require(is_system ? region.shared_file == 0 : AddressSpace::is_valid(region.begin, region.end - region.begin),
                problem);
        last = region.end;
    }
    const std::size_t size = (options.max_request_memory + large_page_size - 1) & ~(large_page_size - 1);
    const Region* region = image.regions.find(area.begin);
    require(area.size == size && area.begin % large_page_size == 0 && region && area.size <= region->end - area.begin &&
                region->protection == Protection{.read = true, .write = true} && region->shared_file == 0,
            "its area for requests does not exist");
}

// --- Page tables

// Walks all of them as the host would do.
class TableCheck {
  public:
    explicit TableCheck(const MemoryImage& image) : image_(image), seen_(image.window_end / page_size) {}

    void run() {
        check_room();
        walk(x86::page_tables_offset, 4, 0);
    }

  private:
    static constexpr std::uint64_t present = 1 << 0, writable = 1 << 1, user = 1 << 2, accessed = 1 << 5,
                                   dirty = 1 << 6, large = 1 << 7, no_execute = std::uint64_t{1} << 63;
    static constexpr std::uint64_t address_mask = 0x000FFFFFFFFFF000;
    static constexpr const char* problem = "its page tables are not those of a program";

    // Tables that are not in use yet are zero.
    void check_room() const {
        const x86::PageTables::State& state = image_.page_tables;
        const std::uint64_t block = state.blocks.back();
        const std::uint64_t begin = block == 0 ? x86::page_tables_offset : block;
        const std::uint64_t end = block == 0 ? x86::doorbell_offset : block + large_page_size;
        require(state.end == end && state.next >= begin && state.next <= end && state.next % page_size == 0, problem);
        for (std::uint64_t page = state.next / page_size; page < end / page_size; ++page)
            require(image_.page(page) == nullptr, problem);
    }

    bool holds_tables(std::uint64_t offset) const {
        if (offset < large_page_size) return offset >= x86::page_tables_offset && offset < x86::doorbell_offset;
        const auto& blocks = image_.page_tables.blocks;
        return std::find(blocks.begin(), blocks.end(), offset & ~(large_page_size - 1)) != blocks.end();
    }

    // `address`: the first one that the table is about.
    void walk(std::uint64_t offset, int level, GuestAddr address) {
        require(
            offset % page_size == 0 && offset < image_.window_end && holds_tables(offset) && !seen_[offset / page_size],
            problem);
        seen_[offset / page_size] = true;
        const std::byte* const page = image_.page(offset / page_size);
        if (page == nullptr) return;
        const std::uint64_t step = std::uint64_t{1} << (12 + 9 * (level - 1));
        for (std::size_t i = 0; i < page_size / sizeof(std::uint64_t); ++i) {
            std::uint64_t entry = 0;
            std::memcpy(&entry, page + i * sizeof entry, sizeof entry);
            if (entry == 0) continue;
            const GuestAddr at = address + i * step;
            require(at < x86::user_end, problem);
            if (level == 1 || (level == 2 && (entry & large))) {
                check_leaf(at, step, entry);
            } else {
                require((entry & ~address_mask) == (present | writable | user | accessed) &&
                            (entry & address_mask) >= x86::window_base,
                        problem);
                walk((entry & address_mask) - x86::window_base, level - 1, at);
            }
        }
    }

    void check_leaf(GuestAddr address, std::uint64_t size, std::uint64_t entry) const {
        const std::uint64_t rights = present | writable | user | no_execute;
        const std::uint64_t fixed = present | accessed | dirty | (size == page_size ? 0 : large);
        require((entry & ~(address_mask | rights)) == (fixed & ~rights) && (entry & present), problem);
        const std::uint64_t physical = entry & address_mask;
        if (address >= x86::system_begin && address < x86::system_end) return check_system(address, size, entry);
        const Region* region = image_.regions.find(address);
        if (region && region->shared_file != 0 && size == page_size && is_of_file(physical)) {
            require(entry & user, problem);
            return;
        }
        const PlacedRange* place = image_.blocks.find(address);
        require((entry & user) && place && size <= place->end - address &&
                    physical == x86::window_base + place->offset + (address - place->begin),
                problem);
    }

    bool is_of_file(std::uint64_t physical) const {
        if (physical < x86::window_base) return false;
        const std::uint64_t block = (physical - x86::window_base) & ~(large_page_size - 1);
        return std::find(image_.file_blocks.begin(), image_.file_blocks.end(), block) != image_.file_blocks.end();
    }

    static void check_system(GuestAddr address, std::uint64_t size, std::uint64_t entry) {
        const std::uint64_t offset = address - x86::system_begin;
        const auto* const row = std::find_if(std::begin(x86::system_block), std::end(x86::system_block),
                                             [&](const x86::SystemPages& pages) {
                                                 return pages.offset <= offset && offset < pages.offset + pages.size;
                                             });
        require(size == page_size && row != std::end(x86::system_block), problem);
        const std::uint64_t expected = (row->physical + (offset - row->offset)) | present | accessed | dirty |
                                       (row->access == x86::Access::user ? user : 0) |
                                       (row->rights.write ? writable : 0) | (row->rights.execute ? 0 : no_execute);
        require(entry == expected, problem);
    }

    const MemoryImage& image_;
    std::vector<bool> seen_;  // pages that are a table already
};

}  // namespace

void check_image(const MemoryImage& image, const Options& options, const RequestArea& request_area) {
    MemoryLimits limits;
    limits.address_space = options.max_address_space;
    require(image.window_end >= large_page_size && image.window_end <= AddressSpace::physical_size(limits),
            "it has more memory than max_address_space");
    check_places(image);
    check_pieces(image);
    check_regions(image, request_area, options);
    const std::string why = image.files->why_impossible(image.file_blocks.size() * (large_page_size / page_size));
    require(why.empty(), why.c_str());
    TableCheck(image).run();
}

}  // namespace tinykvm::cold
