#include "tinykvm/memory/guest_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/host_page.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// Each region is at least one mapping of the host, of which a process may have 65,530 in all: what a program may
// have when it has booted, and how many more a request may make.
constexpr std::size_t max_boot_regions = 4096;  // a thread has two: its stack and the guard
constexpr std::size_t max_new_regions = 128;
// A request that discards fewer bytes than this of its program's data gets them zeroed; more, a fresh mapping.
constexpr std::size_t worth_a_mapping = std::size_t{256} << 10;
// Least address space a guest can do with: its system block, program, stack.
constexpr std::size_t min_address_space = std::size_t{64} << 20;
// Room in a fork's first memory slot for what requests map beyond the snapshot.
constexpr std::size_t spare_space = std::size_t{8} << 20;

// Most of a string that is copied before its end is looked for.
constexpr std::size_t read_at_once = 512;

// Page tables that the smallest programs need.
constexpr std::size_t first_tables = 8;
constexpr std::uint64_t system_pages = large_page_size / page_size;

std::size_t window_size(std::size_t address_space) {
    return std::max(address_space, min_address_space) & ~(large_page_size - 1);
}

// Beside all that one request may ask for, room for the places of earlier ones, and for tables: three for each block at
// most. So nobody can tell what came before by what there is room for.
std::size_t fork_window_size(std::uint64_t image_end, std::uint64_t growth_of_a_request) {
    const std::uint64_t places = image_end + growth_of_a_request + GuestMemory::kept_growth(growth_of_a_request);
    const std::uint64_t tables = 3 * (places / large_page_size) * page_size + 2 * large_page_size;
    return (places + tables) & ~(large_page_size - 1);
}

}  // namespace

GuestMemory::GuestMemory(kvm::Vm& vm, Limits limits, HugePages huge_pages, int clock_page)
    : limits_(std::move(limits)),
      window_(vm, window_size(limits_.address_space), std::move(huge_pages)),
      tables_(window_) {
    if (!window_.allocate(large_page_size)) throw MachineError("no room for a guest's system block");
    window_.protect(0, large_page_size, {.read = true, .write = true});
    window_.populate(0, x86::page_tables_offset + first_tables * page_size);
    if (clock_page >= 0) window_.map_shared(x86::clock_page_offset, page_size, {.read = true}, clock_page, 0);
    tables_.create();
    create_system_block();
}

GuestMemory::GuestMemory(kvm::Vm& vm, std::shared_ptr<const MemoryImage> image, Limits limits, HugePages huge_pages,
                         int clock_page)
    : limits_(std::move(limits)),
      image_(std::move(image)),
      window_(vm, fork_window_size(image_->window_end, growth_of_a_request()), image_contents(clock_page), spare_space,
              std::move(huge_pages)),
      tables_(window_),
      blocks_(image_->blocks),
      asked_(image_->blocks),
      regions_(image_->regions),
      shared_(image_->shared) {
    tables_.restore(image_->page_tables);
    use_huge_pages();
}

// What the program leaves of its address space.
std::uint64_t GuestMemory::growth_of_a_request() const {
    return std::max<std::uint64_t>(window_size(limits_.address_space), image_->window_end) - image_->window_end;
}

void GuestMemory::create_system_block() {
    x86::write_system_pages(system_block());
    blocks_.add(x86::system_begin, x86::system_end, 0);
    auto grant = [&](std::size_t offset, std::size_t size, Protection rights, x86::Access access) {
        if (!tables_.grant(x86::system_begin + offset, x86::window_base + offset, size, rights, access))
            throw MachineError("no room for the first page tables");
    };
    const Protection data{.read = true, .write = true}, code{.read = true, .execute = true};
    grant(x86::descriptors_offset, 2 * page_size, data, x86::Access::supervisor);
    grant(x86::entries_offset, page_size, code, x86::Access::supervisor);
    grant(x86::kernel_stack_offset, page_size, data, x86::Access::supervisor);
    grant(x86::shim_offset, page_size, code, x86::Access::user);
    grant(x86::clock_page_offset, page_size, {.read = true}, x86::Access::user);
    grant(x86::vdso_offset, x86::vdso_max_size, code, x86::Access::user);
    grant(x86::vectors_offset, x86::vectors_max_size, {.read = true}, x86::Access::user);
    grant(x86::mailbox_offset, page_size, data, x86::Access::user);
    if (!tables_.grant(x86::doorbell, x86::doorbell_physical, page_size, data, x86::Access::user))
        throw MachineError("no room for the first page tables");
    regions_.insert({x86::clock_page, x86::clock_page + page_size, {.read = true}, "[vvar]"});
    regions_.insert({x86::vdso, x86::vdso + x86::vdso_max_size, code, "[vdso]"});
}

// --- Bytes

GuestMemory::Range GuestMemory::piece(GuestAddr address, std::size_t size, Right right) const {
    const Region* region = regions_.find(address);
    if (!region || !(right == Right::write ? region->protection.write : region->protection.accessible())) return {0, 0};
    const AddressBlocks::Run* run = blocks_.find(address);
    if (!run) return {0, 0};
    const std::uint64_t length = std::min<std::uint64_t>({size, region->end - address, run->end - address});
    const std::uint64_t offset = run->offset + (address - run->begin);
    return {offset, offset + length};
}

std::span<const std::byte> GuestMemory::readable(GuestAddr from, std::size_t size) const {
    Range range = piece(from, size, Right::read);
    return {window_.host(range.begin), range.end - range.begin};
}

std::span<std::byte> GuestMemory::writable(GuestAddr to, std::size_t size) {
    Range range = piece(to, size, Right::write);
    will_write(range.begin, range.end - range.begin);
    return {window_.host(range.begin), range.end - range.begin};
}

bool GuestMemory::read(GuestAddr from, void* to, std::size_t size) const {
    auto* out = static_cast<std::byte*>(to);
    while (size > 0) {
        auto part = readable(from, size);
        if (part.empty()) return false;
        std::memcpy(out, part.data(), part.size());
        out += part.size();
        from += part.size();
        size -= part.size();
    }
    return true;
}

bool GuestMemory::write(GuestAddr to, const void* from, std::size_t size) {
    if (!is_writable(to, size)) return false;  // all or nothing
    auto* in = static_cast<const std::byte*>(from);
    while (size > 0) {
        auto part = writable(to, size);
        std::memcpy(part.data(), in, part.size());
        in += part.size();
        to += part.size();
        size -= part.size();
    }
    return true;
}

// The protection of the host's mapping behind pages that are to have this one for the guest. As long as page tables
// alone keep the guest from writing, the host's need not: KVMs with shadow paging then map such pages ahead, 8 at a
// time.
Protection GuestMemory::behind(GuestAddr address, std::size_t size, Protection protection) const {
    if (!protection.accessible() || tables_.any_writable(address, size)) return protection;
    return {.read = true, .write = true};
}

// Lets write(host address) write to pages that have this protection for the guest.
template <typename Write>
void GuestMemory::write_protected(std::uint64_t offset, std::size_t size, GuestAddr address, Protection protection,
                                  Write write) {
    if (protection.write) return write(window_.host(offset));
    const std::uint64_t begin = page_floor(offset), end = page_ceil(offset + size);
    const GuestAddr page = page_floor(address);
    const Change change(*this);
    note_remapped(page, page + (end - begin));  // reset cannot copy back what it may not write
    window_.protect(begin, end - begin, {.read = true, .write = true});
    write(window_.host(offset));
    window_.protect(begin, end - begin, behind(page, end - begin, protection));
}

bool GuestMemory::fill(GuestAddr to, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const Range range = piece(to, bytes.size(), Right::read);
        const std::size_t size = range.end - range.begin;
        if (size == 0) return false;
        const Protection protection = regions_.find(to)->protection;
        will_write(range.begin, size);
        write_protected(range.begin, size, to, protection, [&](std::byte* host) {
            const std::uint64_t begin = page_floor(range.begin);
            window_.populate(begin, page_ceil(range.end) - begin);
            std::memcpy(host, bytes.data(), size);
        });
        to += size;
        bytes = bytes.subspan(size);
    }
    return true;
}

std::optional<std::string> GuestMemory::read_bytes(GuestAddr from, std::size_t size) const {
    if (!is_readable(from, size)) return std::nullopt;  // before a guest-chosen size is allocated
    std::string bytes(size, '\0');
    if (!read(from, bytes.data(), size)) return std::nullopt;
    return bytes;
}

std::optional<std::string> GuestMemory::read_string(GuestAddr from, std::size_t max) const {
    std::string text;
    while (text.size() < max) {
        auto part = readable(from, max - text.size());
        if (part.empty()) return std::nullopt;
        // Copied before it is looked at: another VM may write there.
        const std::size_t begin = text.size(), size = std::min<std::size_t>(part.size(), read_at_once);
        text.append(reinterpret_cast<const char*>(part.data()), size);
        if (const std::size_t end = text.find('\0', begin); end != std::string::npos) {
            text.resize(end);
            return text;
        }
        from += size;
    }
    return std::nullopt;
}

bool GuestMemory::allows(GuestAddr address, std::size_t size, Right right) const {
    while (size > 0) {
        Range range = piece(address, size, right);
        if (range.begin == range.end) return false;
        address += range.end - range.begin;
        size -= range.end - range.begin;
    }
    return true;
}

bool GuestMemory::is_readable(GuestAddr address, std::size_t size) const { return allows(address, size, Right::read); }

bool GuestMemory::is_writable(GuestAddr address, std::size_t size) const { return allows(address, size, Right::write); }

// --- Mappings

bool GuestMemory::valid(GuestAddr begin, std::size_t size) {
    if (begin % page_size || size % page_size || size == 0) return false;
    if (begin < x86::user_begin || begin >= x86::user_end || size > x86::user_end - begin) return false;
    return begin + size <= x86::system_begin || begin >= x86::system_end;
}

// Counts what a request adds to the program's address space: places it finds already are counted, too.
bool GuestMemory::ask_for(GuestAddr begin, GuestAddr end) {
    if (!image_) return true;  // whatever the window has room for
    AddressBlocks asked = asked_;
    for (;;) {
        const AddressBlocks::Run gap = asked.missing(begin, end);
        if (gap.begin == gap.end) break;
        asked.add(gap.begin, gap.end, gap.begin);
    }
    if (asked.size() - image_->blocks.size() > growth_of_a_request()) return false;
    asked_ = std::move(asked);
    return true;
}

bool GuestMemory::give_place(GuestAddr begin, GuestAddr end) {
    if (!ask_for(begin, end)) return false;
    for (;;) {
        AddressBlocks::Run gap = blocks_.missing(begin, end);
        if (gap.begin == gap.end) return true;
        auto offset = window_.allocate(gap.end - gap.begin);
        if (!offset) return false;
        blocks_.add(gap.begin, gap.end, *offset);
    }
}

// All of the range or nothing: the host's mapping may allow more than the guest has been granted so far.
bool GuestMemory::grant(GuestAddr begin, GuestAddr end, Protection protection) {
    std::uint64_t needed = 0;
    for_each_piece(begin, end, [&](std::uint64_t offset, std::size_t size, GuestAddr address) {
        needed += tables_.tables_to_grant(address, x86::window_base + offset, size, protection);
    });
    if (needed > tables_.tables_left()) return false;
    bool granted = true;
    for_each_piece(begin, end, [&](std::uint64_t offset, std::size_t size, GuestAddr address) {
        granted = tables_.grant(address, x86::window_base + offset, size, protection) && granted;
    });
    return granted;
}

// Where in the window mappings may differ from the image's; in one range when there is nothing between but guest memory
// nobody changed.
std::vector<GuestMemory::Range> GuestMemory::ranges_to_undo() const {
    std::vector<Range> ranges;
    for (const AddressRange& range : remapped_.joined())
        for_each_piece(range.begin, range.end, [&](std::uint64_t offset, std::size_t size, GuestAddr) {
            ranges.push_back({offset, offset + size});
        });
    join_ranges(ranges, [&](Range a, Range b) {
        // Whole blocks between them may hold page tables, which are not in the set of changed pages.
        return b.begin <= a.end || (b.begin / large_page_size - (a.end - 1) / large_page_size <= 1 &&
                                    !dirty_.contains_any(a.end / page_size, b.begin / page_size));
    });
    return ranges;
}

std::size_t GuestMemory::max_regions() const {
    return image_ ? image_->regions.size() + max_new_regions : max_boot_regions;
}

bool GuestMemory::too_many_regions() const { return regions_.size() >= max_regions() || too_many_ranges(); }

int GuestMemory::refuse(Refusal why) {
    refusal_ = why;
    return ENOMEM;
}

int GuestMemory::map(GuestAddr begin, std::size_t size, Protection protection, std::string name) {
    if (!valid(begin, size)) return EINVAL;
    if (too_many_regions()) return refuse(Refusal::mappings);
    const GuestAddr end = begin + size;
    if (shared_.overlaps(begin, end)) return EPERM;
    if (is_closed(begin, end)) return ENOMEM;
    const Change change(*this);
    if (protection.accessible() && !(give_place(begin, end) && grant(begin, end, protection)))
        return refuse(Refusal::address_space);
    note_remapped(begin, end);
    for_each_piece(begin, end, [&](std::uint64_t offset, std::size_t length, GuestAddr address) {
        if (protection.accessible())
            window_.map_zero(offset, length, behind(address, length, protection));
        else
            window_.unmap(offset, length);
        dirty_.remove(offset / page_size, (offset + length) / page_size);
    });
    if (protection.execute) executable_added_ = true;
    regions_.insert({begin, end, protection, std::move(name)});
    return 0;
}

int GuestMemory::map_file(GuestAddr begin, std::size_t size, Protection protection, std::string name,
                          std::shared_ptr<const FileCopy> file, std::uint64_t offset) {
    // A page of a mapping that is not in the file would be SIGBUS.
    const std::size_t in_file = std::min<std::uint64_t>(size, page_ceil(file->size() - offset));
    if (const int error = map(begin, size, protection, name)) return error;
    if (!protection.accessible()) return 0;
    const Change change(*this);
    for_each_piece(begin, begin + in_file, [&](std::uint64_t piece, std::size_t length, GuestAddr address) {
        window_.map_copy(piece, length, protection, file->fd(), offset + (address - begin));
    });
    regions_.insert({begin, begin + in_file, protection, std::move(name), std::move(file)});
    return 0;
}

int GuestMemory::unmap(GuestAddr begin, std::size_t size) {
    if (!valid(begin, size)) return EINVAL;
    const GuestAddr end = begin + size;
    if (!regions_.overlaps(begin, end)) return 0;
    if (shared_.overlaps(begin, end)) return EPERM;
    // A hole makes two regions of one, and giving back a region mappings of the host.
    const Region* around = regions_.find(begin);
    const bool splits = around && around->begin < begin && end < around->end;
    if ((splits && too_many_regions()) || too_many_ranges()) return refuse(Refusal::mappings);
    const Change change(*this);
    note_remapped(begin, end);
    for_each_piece(begin, end, [&](std::uint64_t offset, std::size_t length, GuestAddr) {
        window_.unmap(offset, length);
        dirty_.remove(offset / page_size, (offset + length) / page_size);
    });
    regions_.erase(begin, end);
    return 0;
}

int GuestMemory::protect(GuestAddr begin, std::size_t size, Protection protection) {
    if (!valid(begin, size)) return EINVAL;
    const GuestAddr end = begin + size;
    if (!regions_.covered(begin, end)) return ENOMEM;
    if (too_many_regions()) return refuse(Refusal::mappings);
    if (shared_.overlaps(begin, end)) return EPERM;
    const Change change(*this);
    if (protection.accessible() && !(give_place(begin, end) && grant(begin, end, protection)))
        return refuse(Refusal::address_space);
    // As long as they can be read and their mapping is the image's: they must not count as this request's.
    if (image_) forget_unchanged(begin, end);
    note_remapped(begin, end);
    for_each_piece(begin, end, [&](std::uint64_t offset, std::size_t length, GuestAddr address) {
        window_.protect(offset, length, behind(address, length, protection));
    });
    if (protection.execute) executable_added_ = true;
    regions_.protect(begin, end, protection);
    return 0;
}

int GuestMemory::discard(GuestAddr begin, std::size_t size) {
    if (!valid(begin, size)) return EINVAL;
    const GuestAddr end = begin + size;
    if (!regions_.covered(begin, end)) return ENOMEM;
    if (shared_.overlaps(begin, end)) return EPERM;
    for (GuestAddr at = begin; at < end;) {
        const Region region = *regions_.find(at);
        const GuestAddr to = std::min(end, region.end);
        for_each_piece(at, to, [&](std::uint64_t offset, std::size_t length, GuestAddr address) {
            if (region.file) {
                window_.drop_changes(offset, length);
                dirty_.remove(offset / page_size, (offset + length) / page_size);
            } else {
                make_zero(offset, length, address, region.protection);
            }
        });
        at = to;
    }
    return 0;
}

void GuestMemory::make_zero(std::uint64_t offset, std::size_t size, GuestAddr address, Protection protection) {
    const std::uint64_t first = offset / page_size, last = (offset + size) / page_size;
    auto has_data = [&](std::uint64_t page) { return image_ && image_->page(page) != nullptr; };
    bool any_data = false;
    for (std::uint64_t page = first; page < last && !any_data; ++page) any_data = has_data(page);
    if (!any_data) {  // what is behind it is zero
        window_.drop_changes(offset, size);
        dirty_.remove(first, last);
        return;
    }
    if (size >= worth_a_mapping && !too_many_regions()) {
        const Change change(*this);
        note_remapped(address, address + size);
        if (protection.accessible())
            window_.map_zero(offset, size, behind(address, size, protection));
        else
            window_.unmap(offset, size);
        dirty_.remove(first, last);
        return;
    }
    will_write(offset, size);
    write_protected(offset, size, address, protection, [&](std::byte* host) { std::memset(host, 0, size); });
}

std::optional<GuestAddr> GuestMemory::find_free(std::size_t size, GuestAddr hint, std::size_t alignment) const {
    if (size == 0 || size % page_size) return std::nullopt;
    if (hint % alignment == 0 && valid(hint, size) && !regions_.overlaps(hint, hint + size) &&
        !is_closed(hint, hint + size))
        return hint;
    if (auto below_stack = find_gap(size, x86::user_begin, x86::stack_top, alignment)) return below_stack;
    return find_gap(size, x86::system_end, x86::user_end, alignment);
}

// Between the ranges that are not for everybody.
std::optional<GuestAddr> GuestMemory::find_gap(std::size_t size, GuestAddr low, GuestAddr high,
                                               std::size_t alignment) const {
    for (;;) {
        const auto found = regions_.find_free(size, low, high, alignment);
        if (!found) return std::nullopt;
        const GuestAddr before = high;
        for (const auto* ranges : {&limits_.on_request, &limits_.closed})
            for (const AddressRange& range : *ranges)
                if (range.overlaps(*found, *found + size)) high = std::min(high, range.begin);
        if (high == before) return found;
    }
}

bool GuestMemory::is_closed(GuestAddr begin, GuestAddr end) const {
    return std::any_of(limits_.closed.begin(), limits_.closed.end(),
                       [&](const AddressRange& range) { return range.overlaps(begin, end); });
}

bool GuestMemory::share(std::shared_ptr<const SharedMemory> memory) {
    constexpr Protection read_write{.read = true, .write = true};
    const std::size_t blocks = (memory->size() + large_page_size - 1) & ~(large_page_size - 1);
    const auto begin = find_free(blocks, 0, large_page_size);
    if (!begin) return false;
    const GuestAddr end = *begin + memory->size();
    if (!give_place(*begin, end) || !grant(*begin, end, read_write)) return false;
    shared_ = {std::move(memory), *begin, end, blocks_.find(*begin)->offset + (*begin - blocks_.find(*begin)->begin)};
    window_.map_shared(shared_.offset, shared_.memory->size(), read_write, shared_.memory->fd(), 0);
    regions_.insert({*begin, end, read_write, "[shared]"});
    return true;
}

// --- Accounting

void GuestMemory::note_guest_writes(std::span<const std::uint64_t> pages) {
    for (std::uint64_t page : pages)
        if (page >= system_pages && !shared_.holds_page(page)) dirty_.add(page);
    note_peak();
}

void GuestMemory::will_write(std::uint64_t offset, std::size_t size) {
    if (size == 0 || shared_.holds_page(offset / page_size)) return;
    const std::uint64_t first = offset / page_size, last = (offset + size - 1) / page_size + 1;
    const std::size_t fresh = dirty_.missing(first, last);
    if ((dirty_.size() + fresh) * page_size > limits_.bytes) {
        forget_unchanged(0, x86::user_end);
        if ((dirty_.size() + dirty_.missing(first, last)) * page_size > limits_.bytes)
            throw OutOfMemory(limits_.name, limits_.bytes);
    }
    for (std::uint64_t page = first; page < last; ++page) dirty_.add(page);
    note_peak();
}

std::size_t GuestMemory::changed_bytes() const {
    const std::size_t unchanged = image_ ? unchanged_pages(0, x86::user_end).size() : 0;
    return own_bytes() - unchanged * page_size;
}

void GuestMemory::enforce_limit() {
    if (own_bytes() <= limits_.bytes) return;
    forget_unchanged(0, x86::user_end);
    if (own_bytes() > limits_.bytes) throw OutOfMemory(limits_.name, limits_.bytes);
}

bool GuestMemory::is_unchanged(std::uint64_t page) const {
    const std::byte* now = window_.host(page * page_size);
    const std::byte* base = image_ ? image_->page(page) : nullptr;
    return base ? std::memcmp(now, base, page_size) == 0 : is_zero(now);
}

// `pages`: ascending where they are neighbours.
void GuestMemory::give_back(const std::vector<std::uint64_t>& pages) {
    for (std::size_t i = 0; i < pages.size();) {
        const std::uint64_t first = pages[i];
        std::uint64_t last = first;
        while (i < pages.size() && pages[i] == last) ++i, ++last;
        window_.drop_changes(first * page_size, (last - first) * page_size);
        dirty_.remove(first, last);
    }
}

void GuestMemory::forget_unchanged(GuestAddr begin, GuestAddr end) {
    const std::vector<std::uint64_t> unchanged = unchanged_pages(begin, end);
    give_back(unchanged);
    unchanged_ += unchanged.size();
}

// Pages kept from earlier requests, or written with what they held already: they do not count.
std::vector<std::uint64_t> GuestMemory::unchanged_pages(GuestAddr begin, GuestAddr end) const {
    const std::vector<AddressRange> remapped = remapped_.joined();
    const auto is_remapped = [&](GuestAddr address) {
        const auto range = std::upper_bound(remapped.begin(), remapped.end(), address,
                                            [](GuestAddr a, const AddressRange& r) { return a < r.end; });
        return range != remapped.end() && range->begin <= address;
    };
    std::vector<std::uint64_t> unchanged;
    for (auto entry = regions_.behind(begin); entry != regions_.end() && entry->first < end; ++entry) {
        const Region& region = entry->second;
        if (region.begin >= x86::system_begin && region.begin < x86::system_end) continue;
        // What cannot be read was written by this request: protect() saw to that. Dropped, pages of a file would be
        // its.
        if (!region.protection.accessible() || region.file) continue;
        for_each_piece(std::max(begin, region.begin), std::min(end, region.end),
                       [&](std::uint64_t offset, std::size_t size, GuestAddr address) {
                           dirty_.for_each(offset / page_size, (offset + size) / page_size, [&](std::uint64_t page) {
                               // Dropping the private copy must bring back what was compared with; behind a changed
                               // mapping that is certain for zero pages only.
                               if (image_ && image_->page(page) && is_remapped(address + (page * page_size - offset)))
                                   return;
                               if (is_unchanged(page)) unchanged.push_back(page);
                           });
                       });
    }
    return unchanged;
}

}  // namespace tinykvm
