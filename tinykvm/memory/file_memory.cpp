#include "tinykvm/memory/file_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tinykvm/memory/host_page.hpp"

namespace tinykvm {

namespace {

// How many pages may change before the limit is looked at again, which may compare all changed pages with the image.
constexpr std::uint64_t most_allowance = 256;
// The longest piece that is written without a look at the limit in between.
constexpr std::uint64_t piece_pages = 32;

alignas(page_size) constexpr std::byte zeros[16 * page_size]{};

constexpr std::uint64_t pages_of(std::uint64_t bytes) { return bytes / page_size + (bytes % page_size != 0); }

}  // namespace

FileMemory::FileMemory(const MemoryLimits& limits, GuestPhysicalMemory& physical, AddressSpace& addresses,
                       ChangedPages& changes, const MemoryImage* image)
    : limits_(limits), physical_(physical), addresses_(addresses), changes_(changes), image_(image) {
    reset();
}

void FileMemory::reset() {
    allowance_ = 0;
    if (!image_) return;
    pages_ = image_->files;
    names_size_ = image_->file_names_size;
}

// --- Room

// Pages that files have beyond those of the image.
std::uint64_t FileMemory::new_pages() const {
    const std::uint64_t before = image_ ? image_->files->used() : 0;
    return pages_->used() - std::min(before, pages_->used());
}

// May so many pages be changed that were not, and so many be given to files?
bool FileMemory::has_room(std::uint64_t changed_pages, std::uint64_t new_pages) {
    const bool has = fits(changed_pages, new_pages);
    refused_ = refused_ || !has;
    return has;
}

bool FileMemory::fits(std::uint64_t changed_pages, std::uint64_t new_pages) {
    const std::uint64_t limit = limit_for_files();
    if ((this->new_pages() + new_pages) * page_size > limit) return false;
    if (changed_pages <= allowance_) {
        allowance_ -= changed_pages;
        return true;
    }
    const auto fit_with = [&](std::uint64_t used) { return used + changed_pages * page_size <= limit; };
    if (fit_with(changes_.own_bytes())) return true;
    const std::uint64_t changed = changes_.changed_bytes();
    if (!fit_with(changed)) return false;
    allowance_ = std::min(most_allowance, (limit - changed) / page_size / 2);
    return true;
}

FileMemory::Room FileMemory::room() const {
    const std::uint64_t used = std::max<std::uint64_t>(changes_.changed_bytes(), new_pages() * page_size);
    Room room;
    room.all = limits_.bytes;
    room.free = limits_.bytes - std::min<std::uint64_t>(used, limits_.bytes);
    room.available = limit_for_files() - std::min(used, limit_for_files());
    return room;
}

void FileMemory::count_host_bytes() {
    const std::size_t now = names_size_ + pages_->host_bytes();
    const std::size_t before = image_ ? image_->file_names_size + image_->files->host_bytes() : 0;
    changes_.count_host_bytes(now - std::min(before, now));
}

void FileMemory::set_names_size(std::size_t bytes) {
    names_size_ = bytes;
    count_host_bytes();
}

// --- Pages

PhysicalRange FileMemory::physical_run(const FilePages::Run& run) const {
    const std::uint64_t begin = addresses_.file_page(run.area_page);
    // Neighbours in the area are neighbours in guest-physical memory only within a block.
    const std::uint64_t to_end_of_block = large_page_size - begin % large_page_size;
    return {begin, begin + std::min<std::uint64_t>(run.count * page_size, to_end_of_block)};
}

// Gives a page of zeros to a hole. False when there is no room.
bool FileMemory::take_page(FileId file, std::uint64_t page) {
    if (!has_room(1, 1)) return false;
    const std::uint64_t area_page = pages_.change().add(file, page);
    if (!addresses_.grow_file_area(area_page + 1)) {
        pages_.change().remove(file, page, page + 1);
        return false;
    }
    const PhysicalRange at = physical_run({page, area_page, 1});
    if (image_ && image_->page(at.begin / page_size)) {
        changes_.will_write(at);
        std::memset(physical_.host(at.begin), 0, page_size);
    }
    count_host_bytes();
    return true;
}

// Pages of the area that a file has no more: those of the image show that again, others are zero, and none of them
// counts as changed. In a fork pages stay resident, because the next request will use them, too.
void FileMemory::release(std::uint64_t area_page, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t offset = addresses_.file_page(area_page + i), page = offset / page_size;
        if (!changes_.own().contains(page)) continue;
        if (image_ && !image_->page(page)) {
            std::memset(physical_.host(offset), 0, page_size);
        } else {
            physical_.drop_changes(offset, page_size);
            changes_.forget({offset, offset + page_size});
        }
    }
}

// Makes [first, last) of a file a hole.
void FileMemory::drop_pages(FileId file, std::uint64_t first, std::uint64_t last) {
    const auto run = pages_->next(file, first);
    if (!run || run->page >= last) return;
    addresses_.hide_file(file, first, last);
    for (const FilePages::Run& removed : pages_.change().remove(file, first, last))
        release(removed.area_page, removed.count);
    allowance_ = 0;
    count_host_bytes();
}

// Zeroes a part of one page, unless that is a hole.
void FileMemory::zero_part(FileId file, std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) return;
    const auto run = pages_->find(file, begin / page_size);
    if (!run) return;
    const std::uint64_t offset = addresses_.file_page(run->area_page) + begin % page_size;
    const std::byte* bytes = physical_.host(offset);
    if (std::memcmp(bytes, zeros, end - begin) == 0) return;
    changes_.will_write({offset, offset + (end - begin)});
    std::memset(physical_.host(offset), 0, end - begin);
}

// --- Bytes

// The bytes from `offset` on, whatever the size of the file.
std::span<const std::byte> FileMemory::page_piece(FileId file, std::uint64_t offset, std::size_t size) const {
    const std::uint64_t page = offset / page_size, in_page = offset % page_size;
    const auto run = pages_->next(file, page);
    if (run && run->page == page) {
        const PhysicalRange at = physical_run(*run);
        return {physical_.host(at.begin + in_page), std::min<std::size_t>(size, at.size() - in_page)};
    }
    std::uint64_t hole = sizeof zeros;
    if (run) hole = std::min(hole, (run->page - page) * page_size);
    return {zeros + in_page, std::min<std::size_t>(size, hole - in_page)};
}

std::span<const std::byte> FileMemory::readable(FileId file, std::uint64_t offset, std::size_t size) const {
    const std::uint64_t end = this->size(file);
    if (offset >= end) return {};
    return page_piece(file, offset, std::min<std::uint64_t>(size, end - offset));
}

int FileMemory::writable(FileId file, std::uint64_t offset, std::size_t size, std::span<std::byte>& piece) {
    const std::uint64_t page = offset / page_size, in_page = offset % page_size;
    auto run = pages_->find(file, page);
    if (run) {
        run->count = std::min(run->count, piece_pages);
        const auto missing = [&] {
            const PhysicalRange at = physical_run(*run);
            return changes_.own().missing(at.begin / page_size, at.end / page_size);
        };
        if (missing() != 0 && !has_room(missing(), 0)) {
            run->count = 1;
            if (missing() != 0 && !has_room(1, 0)) return -ENOSPC;
        }
    } else {
        if (!take_page(file, page)) return -ENOSPC;
        run = pages_->find(file, page);
        run->count = 1;
    }
    const PhysicalRange at = physical_run(*run);
    const std::size_t length = std::min<std::size_t>(size, at.size() - in_page);
    changes_.will_write({at.begin + in_page, at.begin + in_page + length});
    piece = {physical_.host(at.begin + in_page), length};
    return 0;
}

void FileMemory::resize(FileId file, std::uint64_t size) {
    if (const std::uint64_t before = this->size(file); size < before) {
        drop_pages(file, pages_of(size), pages_of(before) + 1);
        drop_pages(file, pages_of(size), ~std::uint64_t{0});  // those that were allocated after the end
        if (size % page_size != 0) zero_part(file, size, page_ceil(size));
    }
    pages_.change().set_size(file, size);
}

int FileMemory::allocate(FileId file, std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint64_t> added;
    const std::uint64_t last = pages_of(end);
    if (last - begin / page_size > limits_.bytes / page_size + pages_->count(file)) return -ENOSPC;
    for (std::uint64_t page = begin / page_size; page < last;) {
        if (const auto run = pages_->find(file, page)) {
            page = run->end();
            continue;
        }
        if (!take_page(file, page)) {
            for (const std::uint64_t back : added) drop_pages(file, back, back + 1);
            return -ENOSPC;
        }
        added.push_back(page++);
    }
    return 0;
}

void FileMemory::make_hole(FileId file, std::uint64_t begin, std::uint64_t end) {
    const std::uint64_t first = pages_of(begin), last = end / page_size;
    if (first > last) return zero_part(file, begin, end);  // within one page
    if (begin % page_size != 0) zero_part(file, begin, first * page_size);
    drop_pages(file, first, last);
    if (end % page_size != 0) zero_part(file, last * page_size, end);
}

void FileMemory::remove(FileId file) {
    drop_pages(file, 0, ~std::uint64_t{0});
    if (size(file) != 0 || allocated(file) != 0) pages_.change().set_size(file, 0);
    pages_.change().forget(file);
}

std::optional<std::uint64_t> FileMemory::find_data(FileId file, std::uint64_t offset) const {
    const auto run = pages_->next(file, offset / page_size);
    const std::uint64_t end = size(file);
    if (!run || run->page * page_size >= end) return std::nullopt;
    return std::max(offset, run->page * page_size);
}

std::uint64_t FileMemory::find_hole(FileId file, std::uint64_t offset) const {
    std::uint64_t page = offset / page_size;
    const std::uint64_t first = page, end = size(file);
    for (auto run = pages_->find(file, page); run; run = pages_->find(file, page)) page = run->end();
    return std::min(end, page == first ? offset : page * page_size);
}

// --- Shared mappings

FileMemory::Place FileMemory::place_of(GuestAddr address, std::size_t size, AddressSpace::Right right) const {
    const Region* region = addresses_.regions().find(address);
    if (!region || region->shared_file == 0) return {};
    const Protection rights = region->protection;
    if (!(right == AddressSpace::Right::write ? rights.write : rights.accessible())) return {};
    const std::uint64_t offset = region->file_offset + (address - region->begin);
    const std::uint64_t end = page_ceil(this->size(region->shared_file));
    if (offset >= end) return {};
    return {region->shared_file, offset, std::min<std::uint64_t>({size, region->end - address, end - offset})};
}

std::span<const std::byte> FileMemory::mapped(GuestAddr address, std::size_t size) const {
    const Place place = place_of(address, size, AddressSpace::Right::read);
    if (place.size == 0) return {};
    return page_piece(place.file, place.offset, place.size);
}

std::span<std::byte> FileMemory::mapped_writable(GuestAddr address, std::size_t size) {
    const Place place = place_of(address, size, AddressSpace::Right::write);
    std::span<std::byte> piece;
    if (place.size == 0 || writable(place.file, place.offset, place.size, piece) != 0) return {};
    return piece;
}

std::size_t FileMemory::mapped_size(GuestAddr address, std::size_t size, AddressSpace::Right right) const {
    return place_of(address, size, right).size;
}

FileMemory::Fault FileMemory::fault_in(GuestAddr address) {
    const Region* region = addresses_.regions().find(address);
    if (!region || region->shared_file == 0) return Fault::none;
    const FileId file = region->shared_file;
    const std::uint64_t offset = region->file_offset + (page_floor(address) - region->begin);
    if (offset >= size(file)) return Fault::beyond_end;
    if (!pages_->find(file, offset / page_size) && !take_page(file, offset / page_size)) return Fault::no_room;
    const PhysicalRange at = physical_run(*pages_->find(file, offset / page_size));
    if (addresses_.shows(page_floor(address), at.begin, region->protection)) return Fault::none;
    if (!addresses_.show_file_page(page_floor(address), at.begin, region->protection)) return Fault::no_room;
    // The pages around it are likely to be next.
    const GuestAddr block = address & ~GuestAddr{large_page_size - 1};
    populate({std::max(block, region->begin), std::min(block + large_page_size, region->end)});
    return Fault::mapped;
}

void FileMemory::populate(GuestRange range) {
    const Regions& regions = addresses_.regions();
    for (auto entry = regions.first_ending_after(range.begin); entry != regions.end() && entry->first < range.end;
         ++entry) {
        const Region& region = entry->second;
        if (region.shared_file == 0 || !region.protection.accessible()) continue;
        const GuestAddr begin = std::max(range.begin, region.begin), end = std::min(range.end, region.end);
        const std::uint64_t first = (region.file_offset + (begin - region.begin)) / page_size;
        const std::uint64_t last = std::min(first + (end - begin) / page_size, pages_of(size(region.shared_file)));
        for (auto run = pages_->next(region.shared_file, first); run && run->page < last;
             run = pages_->next(region.shared_file, run->end())) {
            for (std::uint64_t page = run->page; page < std::min(run->end(), last); ++page) {
                const std::uint64_t offset = addresses_.file_page(run->area_page + (page - run->page));
                if (!addresses_.show_file_page(begin + (page - first) * page_size, offset, region.protection)) return;
            }
        }
    }
}

}  // namespace tinykvm
