#include "tinykvm/elf/loader.hpp"

#include <cstring>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::elf {

namespace {

void throw_if_failed(int error, const Program& program) {
    if (error != 0) throw LoadError(program.name() + ": does not fit into the address space: " + std::strerror(-error));
}

void load_segment(GuestMemory& memory, const Program& program, const Program::Segment& segment, std::uint64_t bias) {
    const GuestAddr address = segment.address + bias;
    const GuestAddr begin = page_floor(address), end = page_ceil(address + segment.memory_size);
    // Two segments may share a page; the later one finds it mapped, and its protection counts.
    const GuestAddr fresh = memory.regions().find(begin) ? begin + page_size : begin;
    if (fresh != begin) throw_if_failed(memory.protect(begin, page_size, segment.protection), program);
    if (fresh < end) throw_if_failed(memory.map(fresh, end - fresh, segment.protection, program.name()), program);
    if (!memory.fill(address, program.bytes().subspan(segment.file_offset, segment.file_size)))
        throw LoadError(program.name() + ": a segment without any right cannot be loaded");
}

}  // namespace

LoadedProgram load(GuestMemory& memory, std::shared_ptr<const Program> program, GuestAddr base) {
    const auto segments = program->segments();
    const GuestAddr low = page_floor(segments.front().address);
    const GuestAddr high = page_ceil(segments.back().address + segments.back().memory_size);

    LoadedProgram loaded;
    if (program->position_independent()) {
        if (base == 0) {
            auto place = memory.find_free(high - low);
            if (!place) throw LoadError(program->name() + ": does not fit into the address space");
            base = *place;
        }
        loaded.bias = base - low;
    }
    loaded.begin = low + loaded.bias;
    loaded.end = high + loaded.bias;
    if (loaded.begin < x86::user_begin || loaded.end > x86::user_end ||
        memory.regions().overlaps(loaded.begin, loaded.end) || memory.is_closed(loaded.begin, loaded.end))
        throw LoadError(program->name() + ": its addresses are not available");
    for (const Program::Segment& segment : segments) load_segment(memory, *program, segment, loaded.bias);
    loaded.program = std::move(program);
    return loaded;
}

}  // namespace tinykvm::elf
