#include "tinykvm/memory/address_space.hpp"

#include <cerrno>

#include "tinykvm/errors.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"
#include "tinykvm/x86/system_block.hpp"

namespace tinykvm {

namespace {

// How many regions a program may have while it boots, and how many more a request may make. Each is at least one
// mapping of the host, and a process may have 65,530 of these.
constexpr std::size_t max_boot_regions = 4096;  // each thread of the guest needs two: its stack and the guard
constexpr std::size_t max_new_regions = 128;
// The smallest address space a guest can have: it must hold system block, program and stack.
constexpr std::size_t min_address_space = std::size_t{64} << 20;
// Page tables that the smallest programs need.
constexpr std::size_t first_tables = 8;
// How much requests may add to a fork's guest-physical memory before a new VM is made instead of resetting this one.
constexpr std::size_t max_growth = std::size_t{512} << 20;
// A reset that has to map more ranges again than this is more expensive than a new VM. Live forks: 1, 100, 1000;
// undoing a range: 3, 16, 230 us; a new VM instead of the old one: 0.4, 0.8, 5 ms, and 25 us for each page of its
// working set.
constexpr std::size_t max_ranges_to_undo = 64;

constexpr Protection read_write{.read = true, .write = true};

using Backing = MemoryImage::Piece::Backing;

std::uint64_t growth(const MemoryLimits& limits, const MemoryImage& image) {
    const std::uint64_t most = AddressSpace::physical_size(limits);
    return std::max(most, image.window_end) - image.window_end;
}

}  // namespace

std::size_t AddressSpace::physical_size(const MemoryLimits& limits) {
    return std::max(limits.address_space, min_address_space) & ~(large_page_size - 1);
}

// There is room for all that one request may ask for, for the blocks of earlier requests, and for page tables, of which
// each block needs three at most. So a request cannot tell from the room it finds what earlier requests did.
std::size_t AddressSpace::physical_size(const MemoryLimits& limits, const MemoryImage& image) {
    const std::uint64_t of_a_request = growth(limits, image);
    const std::uint64_t places = image.window_end + of_a_request + kept_growth(of_a_request);
    // In-memory files of a request, and of those before it as far as their blocks are kept.
    const std::uint64_t files = (limits.bytes + 2 * large_page_size) & ~(large_page_size - 1);
    const std::uint64_t tables = 3 * (places / large_page_size) * page_size + 2 * large_page_size;
    return (places + files + tables) & ~(large_page_size - 1);
}

std::uint64_t AddressSpace::kept_growth(std::uint64_t growth_of_a_request) {
    return std::min<std::uint64_t>(max_growth, growth_of_a_request / 2);
}

// How much one request may add: what the program leaves of its address space.
std::uint64_t AddressSpace::growth_of_a_request() const { return growth(limits_, *image_); }

AddressSpace::AddressSpace(const MemoryLimits& limits, GuestPhysicalMemory& physical, int clock_page)
    : limits_(limits), physical_(physical), tables_(physical) {
    if (!physical_.allocate(large_page_size)) throw MachineError("no room for a guest's system block");
    physical_.protect(0, large_page_size, read_write);
    physical_.populate(0, x86::page_tables_offset + first_tables * page_size);
    if (clock_page >= 0) physical_.map_shared(x86::clock_page_offset, page_size, {.read = true}, clock_page, 0);
    tables_.create();
    create_system_block();
}

AddressSpace::AddressSpace(const MemoryLimits& limits, GuestPhysicalMemory& physical,
                           std::shared_ptr<const MemoryImage> image)
    : limits_(limits),
      physical_(physical),
      image_(std::move(image)),
      tables_(physical),
      blocks_(image_->blocks),
      charged_(image_->blocks),
      regions_(image_->regions),
      shared_(image_->shared),
      file_blocks_(image_->file_blocks) {
    for (const std::uint64_t block : file_blocks_) file_block_set_.add(block / large_page_size);
    for (const auto& entry : regions_) has_shared_files_ = has_shared_files_ || entry.second.shared_file != 0;
    tables_.restore(image_->page_tables);
    // Backwards, because the request area is the last piece and is to get huge pages first.
    for (auto piece = image_->pieces.rbegin(); piece != image_->pieces.rend(); ++piece)
        if (piece->backing == Backing::zero) physical_.use_huge_pages(piece->offset, piece->size, piece->protection);
}

void AddressSpace::create_system_block() {
    x86::write_system_pages(physical_.host(0));
    blocks_.add(x86::system_begin, x86::system_end, 0);
    for (const x86::SystemPages& pages : x86::system_block) {
        const GuestAddr begin = x86::system_begin + pages.offset;
        if (!tables_.grant(begin, pages.physical, pages.size, pages.rights, pages.access))
            throw MachineError("no room for the first page tables");
        if (pages.name) regions_.insert({begin, begin + pages.size, pages.rights, pages.name});
    }
}

// --- The present state

bool AddressSpace::is_valid(GuestAddr begin, std::size_t size) {
    if (begin % page_size || size % page_size || size == 0) return false;
    if (begin < x86::user_begin || begin >= x86::user_end || size > x86::user_end - begin) return false;
    return begin + size <= x86::system_begin || begin >= x86::system_end;
}

bool AddressSpace::is_closed(GuestAddr begin, GuestAddr end) const {
    return std::any_of(limits_.closed.begin(), limits_.closed.end(),
                       [&](const GuestRange& range) { return range.overlaps(begin, end); });
}

std::size_t AddressSpace::max_regions() const {
    return image_ ? image_->regions.size() + max_new_regions : max_boot_regions;
}

std::optional<GuestAddr> AddressSpace::find_free(std::size_t size, GuestAddr hint, std::size_t alignment) const {
    if (size == 0 || size % page_size) return std::nullopt;
    if (hint % alignment == 0 && is_valid(hint, size) && !regions_.overlaps(hint, hint + size) &&
        !is_closed(hint, hint + size))
        return hint;
    if (auto below_stack = find_gap(size, x86::user_begin, x86::stack_top, alignment)) return below_stack;
    return find_gap(size, x86::system_end, x86::user_end, alignment);
}

// Leaves out closed ranges, and those for mappings that ask for them.
std::optional<GuestAddr> AddressSpace::find_gap(std::size_t size, GuestAddr low, GuestAddr high,
                                                std::size_t alignment) const {
    for (;;) {
        const auto found = regions_.find_free(size, low, high, alignment);
        if (!found) return std::nullopt;
        const GuestAddr before = high;
        for (const auto* ranges : {&limits_.on_request, &limits_.closed})
            for (const GuestRange& range : *ranges)
                if (range.overlaps(*found, *found + size)) high = std::min(high, range.begin);
        if (high == before) return found;
    }
}

PhysicalRange AddressSpace::accessible_piece(GuestAddr address, std::size_t size, Right right) const {
    const Region* region = regions_.find(address);
    if (!region || !(right == Right::write ? region->protection.write : region->protection.accessible())) return {0, 0};
    if (region->shared_file != 0) return {0, 0};  // FileMemory knows its pages
    const PlacedRange* place = blocks_.find(address);
    if (!place) return {0, 0};
    const std::uint64_t length = std::min<std::uint64_t>({size, region->end - address, place->end - address});
    const std::uint64_t offset = place->offset + (address - place->begin);
    return {offset, offset + length};
}

// --- Changes

int AddressSpace::refuse(Refusal why) {
    refusal_ = why;
    return -ENOMEM;
}

// Counts what a request adds to the program's address space. Blocks that have a place since an earlier request count,
// too.
bool AddressSpace::charge_address_space(GuestRange range) {
    if (!image_) return true;  // while a program boots, guest-physical memory is the limit
    AddressBlocks charged = charged_;
    for (;;) {
        const GuestRange gap = charged.missing(range.begin, range.end);
        if (gap.begin == gap.end) break;
        charged.add(gap.begin, gap.end, gap.begin);
    }
    if (charged.size() - image_->blocks.size() > growth_of_a_request()) return false;
    charged_ = std::move(charged);
    return true;
}

bool AddressSpace::assign_blocks(GuestRange range) {
    if (!charge_address_space(range)) return false;
    for (;;) {
        const GuestRange gap = blocks_.missing(range.begin, range.end);
        if (gap.begin == gap.end) return true;
        const auto offset = physical_.allocate(gap.end - gap.begin);
        if (!offset) return false;
        blocks_.add(gap.begin, gap.end, *offset);
    }
}

// Grants all ranges or nothing of them, because the host's mapping may allow more than was granted to the guest so far.
bool AddressSpace::grant(const std::vector<GuestRange>& ranges, Protection protection) {
    std::uint64_t needed = 0;
    for (const GuestRange& range : ranges)
        for_each_piece(range, [&](PhysicalRange piece, GuestAddr address) {
            needed += tables_.tables_to_grant(address, x86::window_base + piece.begin, piece.size(), protection);
        });
    if (needed > tables_.tables_left()) return false;
    bool granted = true;
    for (const GuestRange& range : ranges)
        for_each_piece(range, [&](PhysicalRange piece, GuestAddr address) {
            granted = tables_.grant(address, x86::window_base + piece.begin, piece.size(), protection) && granted;
        });
    return granted;
}

bool AddressSpace::make_accessible(const std::vector<GuestRange>& ranges, Protection protection) {
    if (!protection.accessible()) return true;
    return std::all_of(ranges.begin(), ranges.end(), [&](GuestRange range) { return assign_blocks(range); }) &&
           grant(ranges, protection);
}

// The protection that the host's mapping gets for pages with this protection for the guest. As long as page tables keep
// the guest from writing, the host's mapping need not, and KVMs with shadow paging then map such pages ahead, 8 at a
// time.
Protection AddressSpace::host_protection_for(GuestAddr address, std::size_t size, Protection protection) const {
    if (!protection.accessible() || tables_.any_writable(address, size)) return protection;
    return read_write;
}

int AddressSpace::map(GuestRange range, Protection protection, std::string name) {
    if (too_many_regions()) return refuse(Refusal::mappings);
    if (shared_.overlaps(range.begin, range.end)) return -EPERM;
    if (is_closed(range.begin, range.end)) return -ENOMEM;
    const Change change(*this);
    hide(range);
    if (!make_accessible({range}, protection)) return refuse(Refusal::address_space);
    note_remapped(range);
    for_each_piece(range, [&](PhysicalRange piece, GuestAddr address) {
        if (protection.accessible())
            physical_.map_zero(piece.begin, piece.size(), host_protection_for(address, piece.size(), protection));
        else
            physical_.unmap(piece.begin, piece.size());
    });
    if (protection.execute) executable_added_ = true;
    regions_.insert({range.begin, range.end, protection, std::move(name)});
    return 0;
}

void AddressSpace::show_file(GuestRange range, Protection protection, std::string name,
                             std::shared_ptr<const FileCopy> file, std::uint64_t offset) {
    const Change change(*this);
    for_each_piece(range, [&](PhysicalRange piece, GuestAddr address) {
        physical_.map_copy(piece.begin, piece.size(), protection, file->fd(), offset + (address - range.begin));
    });
    regions_.insert({range.begin, range.end, protection, std::move(name), std::move(file)});
}

int AddressSpace::unmap(GuestRange range) {
    if (!regions_.overlaps(range.begin, range.end)) return 0;
    if (shared_.overlaps(range.begin, range.end)) return -EPERM;
    // A hole makes two regions of one, and unmapping a part of a mapping of the host makes more of them.
    const Region* around = regions_.find(range.begin);
    const bool splits = around && around->begin < range.begin && range.end < around->end;
    if ((splits && too_many_regions()) || too_many_ranges()) return refuse(Refusal::mappings);
    const Change change(*this);
    hide(range);
    note_remapped(range);
    for_each_piece(range, [&](PhysicalRange piece, GuestAddr) { physical_.unmap(piece.begin, piece.size()); });
    regions_.erase(range.begin, range.end);
    return 0;
}

int AddressSpace::check_protect(GuestRange range) {
    if (!regions_.covered(range.begin, range.end)) return -ENOMEM;
    if (too_many_regions()) return refuse(Refusal::mappings);
    return shared_.overlaps(range.begin, range.end) ? -EPERM : 0;
}

int AddressSpace::protect(GuestRange range, Protection protection) {
    const Change change(*this);
    const std::vector<GuestRange> parts = private_parts(range);
    if (!make_accessible(parts, protection)) return refuse(Refusal::address_space);
    note_remapped(range);
    hide(range);  // pages of shared mappings come back with their new rights when they are touched
    for (const GuestRange& part : parts)
        for_each_piece(part, [&](PhysicalRange piece, GuestAddr address) {
            physical_.protect(piece.begin, piece.size(), host_protection_for(address, piece.size(), protection));
        });
    if (protection.execute) executable_added_ = true;
    regions_.protect(range.begin, range.end, protection);
    return 0;
}

int AddressSpace::mark(GuestRange range, const std::function<void(MappingTraits&)>& change) {
    if (too_many_regions()) return refuse(Refusal::mappings);
    const Change record(*this);
    regions_.mark(range.begin, range.end, change);
    return 0;
}

int AddressSpace::check_discard(GuestRange range) const {
    if (!regions_.covered(range.begin, range.end)) return -ENOMEM;
    return shared_.overlaps(range.begin, range.end) ? -EPERM : 0;
}

bool AddressSpace::replace_with_zero(PhysicalRange piece, GuestAddr address, Protection protection) {
    if (too_many_regions()) return false;
    const Change change(*this);
    note_remapped({address, address + piece.size()});
    if (protection.accessible())
        physical_.map_zero(piece.begin, piece.size(), host_protection_for(address, piece.size(), protection));
    else
        physical_.unmap(piece.begin, piece.size());
    return true;
}

bool AddressSpace::share(std::shared_ptr<const SharedMemory> memory) {
    const std::size_t blocks = (memory->size() + large_page_size - 1) & ~(large_page_size - 1);
    const auto begin = find_free(blocks, 0, large_page_size);
    if (!begin) return false;
    const GuestRange range{*begin, *begin + memory->size()};
    if (!make_accessible({range}, read_write)) return false;
    const PlacedRange& place = *blocks_.find(range.begin);
    shared_ = {std::move(memory), range.begin, range.end, place.offset + (range.begin - place.begin)};
    physical_.map_shared(shared_.offset, shared_.memory->size(), read_write, shared_.memory->fd(), 0);
    regions_.insert({range.begin, range.end, read_write, "[shared]", nullptr, {.shared = true}});
    return true;
}

// --- Snapshot and reset

void AddressSpace::narrow_tables() {
    for (const PlacedRange& range : blocks_.ranges()) narrow_tables({range.begin, range.end});
}

// Makes the page tables of these addresses, which are in one place, grant what the regions say and nothing more,
// whatever was granted before. So the forks of an image need no mappings of the host to hold rights back, and a request
// finds no traces of the one before.
void AddressSpace::narrow_tables(GuestRange range) {
    GuestAddr at = range.begin;
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
    for (auto entry = regions_.first_ending_after(at); entry != regions_.end() && entry->first < range.end; ++entry) {
        up_to(entry->first, {});
        up_to(std::min(entry->second.end, range.end), entry->second.protection);
    }
    up_to(range.end, {});
}

// Where mappings may differ from the image's. Two ranges with nothing but unchanged guest memory between them are one.
std::vector<PhysicalRange> AddressSpace::ranges_to_undo(const DirtyPages& changed) const {
    std::vector<PhysicalRange> ranges;
    for (const GuestRange& range : remapped_.joined())
        for_each_piece(range, [&](PhysicalRange piece, GuestAddr) { ranges.push_back(piece); });
    join_ranges(ranges, [&](PhysicalRange a, PhysicalRange b) {
        // Whole blocks between them may hold page tables, which are not in the set of changed pages.
        return b.begin <= a.end || (b.begin / large_page_size - (a.end - 1) / large_page_size <= 1 &&
                                    !changed.contains_any(a.end / page_size, b.begin / page_size));
    });
    return ranges;
}

bool AddressSpace::needs_rebuild(const DirtyPages& changed) const {
    if (!image_) return false;
    if (mappings_unknown_) return true;
    if (ranges_to_undo(changed).size() > max_ranges_to_undo) return true;
    return executable_added_ || tables_.state().blocks.size() > image_->page_tables.blocks.size() ||
           physical_.allocated() - image_->window_end > kept_growth(growth_of_a_request());
}

std::vector<PhysicalRange> AddressSpace::reset(const DirtyPages& changed) {
    if (!mappings_changed_) return {};
    std::vector<PhysicalRange> undone = ranges_to_undo(changed);
    for (const PhysicalRange& range : undone) map_as_image(range);
    regions_ = image_->regions;
    charged_ = image_->blocks;
    reset_shared_mappings();  // first: it has to see entries of file pages to make KVM forget them
    // KVM has dropped what it knew of the pages with their mappings, so it reads their entries again, also with shadow
    // paging.
    for (const GuestRange& range : remapped_.joined())
        for_each_piece(range, [&](PhysicalRange piece, GuestAddr address) {
            narrow_tables({address, address + piece.size()});
        });
    remapped_.clear();
    mappings_changed_ = false;
    return undone;
}

void AddressSpace::map_as_image(PhysicalRange range) {
    const auto& pieces = image_->pieces;
    auto piece = std::lower_bound(pieces.begin(), pieces.end(), range.begin,
                                  [](const auto& p, std::uint64_t offset) { return p.offset + p.size <= offset; });
    std::uint64_t at = range.begin;
    for (; piece != pieces.end() && piece->offset < range.end; ++piece) {
        const std::uint64_t to = std::min(range.end, piece->offset + piece->size);
        if (at < piece->offset) physical_.unmap(at, piece->offset - at);
        at = std::max(at, piece->offset);
        const std::uint64_t in_file = piece->file_offset + (at - piece->offset);
        switch (piece->backing) {
            case Backing::zero: physical_.map_zero(at, to - at, piece->protection); break;
            case Backing::file: physical_.map_copy(at, to - at, piece->protection, image_->file.get(), in_file); break;
            case Backing::shared:
                physical_.map_shared(at, to - at, piece->protection, shared_.memory->fd(), in_file);
                break;
        }
        at = to;
    }
    if (at < range.end) physical_.unmap(at, range.end - at);
}

}  // namespace tinykvm
