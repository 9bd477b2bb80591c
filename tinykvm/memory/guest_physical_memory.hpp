// The guest-physical memory of a VM: one reservation of host addresses, given out in 2 MiB blocks, made visible to
// the guest by memory slots. Every mmap, mprotect and madvise on guest memory is here, named by intent.
//
// Offsets are from x86::window_base (guest-physical) and from host(0) alike.
//
// Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/memory/huge_blocks.hpp"
#include "tinykvm/os/mapping.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class GuestPhysicalMemory {
  public:
    // A part of what a fork's memory begins with: pages of a file, shared, or copied when they are written.
    struct Part {
        std::uint64_t offset, size;
        int fd;
        std::uint64_t fd_offset;
        Protection protection{.read = true, .write = true};
        bool shared = false;
    };
    // What a fork's memory begins with, [0, end): `parts`, ascending and disjoint, and between them zero memory,
    // readable and writable.
    struct Contents {
        std::uint64_t end;
        std::vector<Part> parts;
    };

    // Reserves `size` bytes of host addresses: zero memory without rights. Throws MachineError.
    GuestPhysicalMemory(kvm::Vm& vm, std::size_t size, HugePages huge_pages = {});
    // The same, but it begins with `contents`, whose memory slot has room for `spare` bytes more.
    GuestPhysicalMemory(kvm::Vm& vm, std::size_t size, const Contents& contents, std::size_t spare,
                        HugePages huge_pages = {});

    std::byte* host(std::uint64_t offset) const { return reservation_.data() + offset; }
    std::size_t size() const { return reservation_.size(); }

    // Allocates `size` bytes (a multiple of 2 MiB) until the VM ends; nullopt when the memory is full.
    std::optional<std::uint64_t> allocate(std::size_t size);
    std::uint64_t allocated() const { return allocated_; }

    // Maps fresh zero pages, huge ones where that is possible and wanted. Throws MachineError when required huge pages
    // are missing.
    void map_zero(std::uint64_t offset, std::size_t size, Protection protection);
    // Huge pages for zero memory that was not written to, where that is possible and wanted; otherwise like map_zero().
    void use_huge_pages(std::uint64_t offset, std::size_t size, Protection protection);
    // Maps pages of an image, which are copied when they are written.
    void map_copy(std::uint64_t offset, std::size_t size, Protection protection, int fd, std::uint64_t fd_offset);
    // Maps pages of a file, shared with others.
    void map_shared(std::uint64_t offset, std::size_t size, Protection protection, int fd, std::uint64_t fd_offset);
    // Maps nothing: contents are gone, and any access is an error.
    void unmap(std::uint64_t offset, std::size_t size);
    // Changes the rights of guest and host; contents stay.
    void protect(std::uint64_t offset, std::size_t size, Protection protection);
    // Allocates all pages there at once, which is cheaper than one by one when they are written. They must be writable.
    // This is only a wish: false when the host does not do it, and pages are allocated when they are written.
    bool populate(std::uint64_t offset, std::size_t size);
    // Drops what was written, so that what is mapped there shows again: zero, or the image's pages. Frees private
    // copies, except reserved huge pages.
    void drop_changes(std::uint64_t offset, std::size_t size);

    // From now on nothing more gets huge pages.
    void use_small_pages();
    // Says that the guest does not run any more: from now on nothing more gets huge pages or a memory slot.
    void finish();
    // Bytes in reserved huge pages.
    std::size_t reserved_huge() const { return reserved_.size(); }

  private:
    static Mapping reserve(std::size_t size);
    static Mapping map_snapshot(std::size_t size, const Contents& contents);
    static int map_contents(std::byte* begin, std::size_t size, const Contents& contents);
    void cover(std::uint64_t end);
    void replace(const char* what, std::uint64_t offset, std::size_t size, int protection, int flags, int fd,
                 std::uint64_t fd_offset);

    kvm::Vm* vm_;
    Mapping reservation_;
    bool transparent_;
    HugeBlocks reserved_;
    std::uint64_t allocated_ = 0;
    std::uint64_t covered_ = 0;  // memory slots reach up to here
};

}  // namespace tinykvm
