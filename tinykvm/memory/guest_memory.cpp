#include "tinykvm/memory/guest_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/host_page.hpp"
#include "tinykvm/memory/image_writer.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// When a request discards fewer bytes than this of its program's data, they are zeroed; when more, mapped again.
constexpr std::size_t worth_a_mapping = std::size_t{256} << 10;
// Room in a fork's first memory slot for what requests map beyond the snapshot.
constexpr std::size_t spare_space = std::size_t{8} << 20;
// How much of a string is copied at once before its end is looked for.
constexpr std::size_t read_at_once = 512;

}  // namespace

GuestMemory::GuestMemory(kvm::Vm& vm, Limits limits, HugePages huge_pages, int clock_page)
    : limits_(std::move(limits)),
      physical_(vm, AddressSpace::physical_size(limits_), std::move(huge_pages)),
      addresses_(limits_, physical_, clock_page),
      changes_(limits_, physical_, addresses_, nullptr),
      files_(limits_, physical_, addresses_, changes_, nullptr) {}

GuestMemory::GuestMemory(kvm::Vm& vm, std::shared_ptr<const MemoryImage> image, Limits limits, HugePages huge_pages,
                         int clock_page)
    : limits_(std::move(limits)),
      image_(std::move(image)),
      physical_(vm, AddressSpace::physical_size(limits_, *image_), image_->contents(clock_page), spare_space,
                std::move(huge_pages)),
      addresses_(limits_, physical_, image_),
      changes_(limits_, physical_, addresses_, image_.get()),
      files_(limits_, physical_, addresses_, changes_, image_.get()) {}

std::vector<GuestRange> GuestMemory::make_working_set_own() {
    const WorkingSet::Pages pages = image_->working_set->pages();
    has_told_ = pages != nullptr;
    return pages ? changes_.make_own(*pages) : std::vector<GuestRange>();
}

// --- Bytes

std::span<const std::byte> GuestMemory::readable(GuestAddr from, std::size_t size) const {
    const PhysicalRange piece = addresses_.accessible_piece(from, size, Right::read);
    if (piece.empty()) return files_.mapped(from, size);
    return {physical_.host(piece.begin), piece.size()};
}

std::span<std::byte> GuestMemory::writable(GuestAddr to, std::size_t size) {
    const PhysicalRange piece = addresses_.accessible_piece(to, size, Right::write);
    if (piece.empty()) return files_.mapped_writable(to, size);
    changes_.will_write(piece);
    return {physical_.host(piece.begin), piece.size()};
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
        if (part.empty()) return false;  // the file that is mapped there has no room
        std::memcpy(part.data(), in, part.size());
        in += part.size();
        to += part.size();
        size -= part.size();
    }
    return true;
}

bool GuestMemory::fill(GuestAddr to, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const PhysicalRange piece = addresses_.accessible_piece(to, bytes.size(), Right::read);
        if (piece.empty()) return false;
        changes_.will_write(piece);
        addresses_.write_protected(piece, to, regions().find(to)->protection, [&](std::byte* host) {
            const std::uint64_t begin = page_floor(piece.begin);
            physical_.populate(begin, page_ceil(piece.end) - begin);
            std::memcpy(host, bytes.data(), piece.size());
        });
        to += piece.size();
        bytes = bytes.subspan(piece.size());
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
        // It is copied before it is searched, because another VM may write there (shared memory).
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
        const PhysicalRange piece = addresses_.accessible_piece(address, size, right);
        const std::size_t length = piece.empty() ? files_.mapped_size(address, size, right) : piece.size();
        if (length == 0) return false;
        address += length;
        size -= length;
    }
    return true;
}

bool GuestMemory::is_readable(GuestAddr address, std::size_t size) const { return allows(address, size, Right::read); }

bool GuestMemory::is_writable(GuestAddr address, std::size_t size) const { return allows(address, size, Right::write); }

// --- Mappings

// To be called when the host's mapping of the range was replaced.
void GuestMemory::forget_changes(GuestRange range) {
    addresses_.for_each_piece(range, [&](PhysicalRange piece, GuestAddr) { changes_.forget(piece); });
}

int GuestMemory::map(GuestAddr begin, std::size_t size, Protection protection, std::string name) {
    if (!AddressSpace::is_valid(begin, size)) return -EINVAL;
    const GuestRange range{begin, begin + size};
    if (const int error = addresses_.map(range, protection, std::move(name))) return error;
    forget_changes(range);
    return 0;
}

int GuestMemory::map_file(GuestAddr begin, std::size_t size, Protection protection, std::string name,
                          std::shared_ptr<const FileCopy> file, std::uint64_t offset) {
    // Only pages that are in the file are mapped from it: an access to one after its end would be SIGBUS.
    const std::size_t in_file = std::min<std::uint64_t>(size, page_ceil(file->size() - offset));
    if (const int error = map(begin, size, protection, name)) return error;
    if (protection.accessible())
        addresses_.show_file({begin, begin + in_file}, protection, std::move(name), std::move(file), offset);
    return 0;
}

int GuestMemory::map_shared_file(GuestAddr begin, std::size_t size, Protection protection, std::string name,
                                 FileId file, std::uint64_t offset) {
    if (!AddressSpace::is_valid(begin, size)) return -EINVAL;
    const GuestRange range{begin, begin + size};
    if (const int error = addresses_.map_shared_file(range, protection, std::move(name), file, offset)) return error;
    forget_changes(range);
    files_.populate(range);
    return 0;
}

int GuestMemory::unmap(GuestAddr begin, std::size_t size) {
    if (!AddressSpace::is_valid(begin, size)) return -EINVAL;
    const GuestRange range{begin, begin + size};
    if (const int error = addresses_.unmap(range)) return error;
    forget_changes(range);
    return 0;
}

int GuestMemory::protect(GuestAddr begin, std::size_t size, Protection protection) {
    if (!AddressSpace::is_valid(begin, size)) return -EINVAL;
    const GuestRange range{begin, begin + size};
    if (const int error = addresses_.check_protect(range)) return error;
    // Unchanged pages must not count as this request's, and can be told only while they can be read and their mapping
    // is the image's.
    if (image_) changes_.drop_unchanged(range);
    return addresses_.protect(range, protection);
}

int GuestMemory::discard(GuestAddr begin, std::size_t size) {
    if (!AddressSpace::is_valid(begin, size)) return -EINVAL;
    const GuestRange range{begin, begin + size};
    if (const int error = addresses_.check_discard(range)) return error;
    for (GuestAddr at = range.begin; at < range.end;) {
        const Region region = *regions().find(at);
        const GuestAddr to = std::min(range.end, region.end);
        if (region.shared_file != 0) {  // what is shared stays
            at = to;
            continue;
        }
        addresses_.for_each_piece({at, to}, [&](PhysicalRange piece, GuestAddr address) {
            if (!region.file) return make_zero(piece, address, region.protection);
            physical_.drop_changes(piece.begin, piece.size());
            changes_.forget(piece);
        });
        at = to;
    }
    return 0;
}

void GuestMemory::wipe_for_forks() {
    for (const auto& [begin, region] : regions())
        if (region.traits.zero_in_forks && discard(begin, region.end - begin) != 0)
            throw MachineError("memory under MADV_WIPEONFORK cannot be wiped");
}

void GuestMemory::make_zero(PhysicalRange piece, GuestAddr address, Protection protection) {
    const auto has_data = [&](std::uint64_t page) { return image_ && image_->page(page) != nullptr; };
    bool any_data = false;
    for (std::uint64_t page = piece.begin / page_size; page < piece.end / page_size && !any_data; ++page)
        any_data = has_data(page);
    if (!any_data) {  // without its changes it is zero
        physical_.drop_changes(piece.begin, piece.size());
        changes_.forget(piece);
    } else if (piece.size() >= worth_a_mapping && addresses_.replace_with_zero(piece, address, protection)) {
        changes_.forget(piece);
    } else {
        changes_.will_write(piece);
        addresses_.write_protected(piece, address, protection,
                                   [&](std::byte* host) { std::memset(host, 0, piece.size()); });
    }
}

bool GuestMemory::share(std::shared_ptr<const SharedMemory> memory) { return addresses_.share(std::move(memory)); }

// --- Snapshot and reset

std::shared_ptr<const MemoryImage> GuestMemory::make_image(std::shared_ptr<FileCopies> file_copies) {
    // Forks need not fault in what is in shared mappings already.
    files_.populate({0, x86::user_end});
    addresses_.narrow_tables();
    std::vector<ImageWriter::Part> parts;
    const auto add = [&](PhysicalRange range, Protection protection, auto has_data) {
        ImageWriter::Part part{range, protection, {}};
        for (std::uint64_t page = range.begin / page_size; page < range.end / page_size; ++page)
            if (has_data(page) && !is_zero(physical_.host(page * page_size))) part.pages.push_back(page);
        parts.push_back(std::move(part));
    };
    // Blocks with page tables and the shim: these are not in the set of changed pages, because only the host writes
    // them. The clock page is left out, because every fork maps its own. Page tables that are not in use yet are zero;
    // they are not even read, because that would make the host fault each of them in.
    const x86::PageTables::State& tables = addresses_.tables().state();
    const std::uint64_t unused = tables.next / page_size, unused_end = tables.end / page_size;
    for (const std::uint64_t block : tables.blocks)
        add({block, block + large_page_size}, {.read = true, .write = true}, [&](std::uint64_t page) {
            const bool hand_over = page - x86::hand_over_offset / page_size < x86::hand_over_size / page_size;
            return page != x86::clock_page_offset / page_size && !hand_over && !(unused <= page && page < unused_end);
        });
    // Pages under PROT_NONE may hold data that a later mprotect shows again.
    const SharedArea& shared = addresses_.shared();
    for (const auto& entry : regions()) {
        const Region& region = entry.second;
        if (region.begin >= x86::system_begin && region.begin < x86::system_end) continue;
        if (shared.overlaps(region.begin, region.end) || region.shared_file != 0) continue;
        addresses_.for_each_piece({region.begin, region.end}, [&](PhysicalRange piece, GuestAddr) {
            if (!region.protection.accessible()) physical_.protect(piece.begin, piece.size(), {.read = true});
            add(piece, region.protection, [&](std::uint64_t page) { return changes_.own().contains(page); });
        });
    }

    for (const std::uint64_t block : addresses_.file_blocks())
        add({block, block + large_page_size}, {.read = true, .write = true},
            [&](std::uint64_t page) { return changes_.own().contains(page); });

    auto image = std::make_shared<MemoryImage>();
    ImageWriter(*image, physical_).write(std::move(parts));
    if (shared.memory) image->add_shared(shared, regions().find(shared.begin)->protection);
    image->file_copies = std::move(file_copies);
    image->window_end = physical_.allocated();
    image->blocks = addresses_.blocks();
    image->regions = regions();
    image->page_tables = tables;
    image->file_blocks = addresses_.file_blocks();
    image->files = files_.pages();
    image->file_names_size = files_.names_size();
    return image;
}

bool GuestMemory::tolerate_failure() {
    constexpr std::size_t tolerance = std::size_t{8} << 20;
    if (!addresses_.knows_its_mappings() || own_bytes() > configured_bytes_ + tolerance) return false;
    limits_.bytes = std::max(configured_bytes_, own_bytes());
    return true;
}

std::size_t GuestMemory::reset() {
    limits_.bytes = configured_bytes_;
    for (const PhysicalRange& range : addresses_.reset(changes_.own())) changes_.forget(range);
    files_.reset();
    const std::size_t restored = changes_.reset();
    if (!has_told_) image_->working_set->learn(changes_.own_ranges());
    has_told_ = true;
    return restored;
}

bool GuestMemory::resets_quickly() const {
    return addresses_.is_as_image() && changes_.resets_quickly() && !needs_rebuild();
}

}  // namespace tinykvm
