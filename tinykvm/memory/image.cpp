#include "tinykvm/memory/image.hpp"

#include <algorithm>
#include <limits>

#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

void MemoryImage::add_shared(const SharedArea& area, Protection protection) {
    shared = area;
    const Piece piece{area.offset, area.memory->size(), protection, Piece::Backing::shared, 0};
    const auto place =
        std::find_if(pieces.begin(), pieces.end(), [&](const Piece& other) { return other.offset > piece.offset; });
    pieces.insert(place, piece);
}

GuestPhysicalMemory::Contents MemoryImage::contents(int clock_page) const {
    using Part = GuestPhysicalMemory::Part;
    GuestPhysicalMemory::Contents contents{window_end, {}};
    if (clock_page >= 0)
        contents.parts.push_back({x86::clock_page_offset, page_size, clock_page, 0, {.read = true}, true});
    constexpr std::uint64_t nowhere = std::numeric_limits<std::uint64_t>::max();
    const PhysicalRange hole = shared.memory ? PhysicalRange{shared.offset, shared.offset + shared.memory->size()}
                                             : PhysicalRange{nowhere, nowhere};
    const auto add_data = [&](std::uint64_t begin, std::uint64_t end, const FileExtent& extent) {
        if (begin < end)
            contents.parts.push_back({begin, end - begin, file.get(), extent.file_offset + (begin - extent.offset)});
    };
    for (const FileExtent& extent : extents) {
        add_data(extent.offset, std::min(extent.end(), hole.begin), extent);
        add_data(std::max(extent.offset, hole.end), extent.end(), extent);
    }
    if (shared.memory) {
        const Part part{hole.begin, hole.size(), shared.memory->fd(), 0, {.read = true, .write = true}, true};
        const auto place = std::find_if(contents.parts.begin(), contents.parts.end(),
                                        [&](const Part& other) { return other.offset > part.offset; });
        contents.parts.insert(place, part);
    }
    return contents;
}

}  // namespace tinykvm
