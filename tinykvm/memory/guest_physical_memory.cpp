#include "tinykvm/memory/guest_physical_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "tinykvm/errors.hpp"
#include "tinykvm/memory/host_page.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// Every slot costs KVM a grace period (50 us and more), every MiB in it some 0.3 us: slots grow by doubling.
constexpr std::uint64_t first_slot = std::uint64_t{32} << 20;

}  // namespace

GuestPhysicalMemory::GuestPhysicalMemory(kvm::Vm& vm, std::size_t size, HugePages huge_pages)
    : vm_(&vm),
      reservation_(reserve(size)),
      transparent_(huge_pages.transparent),
      reserved_(reservation_.data(), std::move(huge_pages)) {}

GuestPhysicalMemory::GuestPhysicalMemory(kvm::Vm& vm, std::size_t size, const Contents& contents, std::size_t spare,
                                         HugePages huge_pages)
    : vm_(&vm),
      reservation_(map_snapshot(size, contents)),
      transparent_(huge_pages.transparent),
      reserved_(reservation_.data(), std::move(huge_pages)),
      allocated_(contents.end),
      covered_(std::min<std::uint64_t>(contents.end + spare, size)) {
    vm.add_memory(x86::window_base, host(0), covered_);
}

// The reservation is aligned to 2 MiB, so that huge pages of the host can be used for blocks.
Mapping GuestPhysicalMemory::reserve(std::size_t size) {
    const auto map = [](std::size_t length) {
        return Mapping("cannot reserve address space for a guest", length, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    };
    const auto excess = [](const Mapping& mapping) {
        return reinterpret_cast<std::uintptr_t>(mapping.data()) % large_page_size;
    };
    Mapping reservation = map(size);  // kernels from 6.7 on align it by themselves
    if (excess(reservation) == 0) return reservation;
    reservation = {};
    reservation = map(size + large_page_size);
    reservation.trim((large_page_size - excess(reservation)) % large_page_size, size);
    return reservation;
}

// Makes each mapping at addresses where there is none yet, because a mapping that replaces another one makes the kernel
// notify every VM of the process, 0.2 us each.
Mapping GuestPhysicalMemory::map_snapshot(std::size_t size, const Contents& contents) {
    static std::atomic<std::uintptr_t> last{0};
    constexpr std::uintptr_t ask_every = std::uintptr_t{1} << 40;
    // Tries the addresses below those of the memory made last, as the kernel itself would. When these are not free, and
    // once per TiB because higher addresses may have become free, the kernel is asked for a place.
    const std::uintptr_t before = last, below = before - size;
    if (before > size && before / ask_every == below / ask_every) {
        auto* const begin = reinterpret_cast<std::byte*>(below);
        if (map_contents(begin, size, contents) == 0) {
            last = below;
            return {begin, size};
        }
    }
    for (int attempt = 0; attempt < 100; ++attempt) {
        std::byte* const begin = reserve(size).data();
        const int error = map_contents(begin, size, contents);
        if (error == 0) {
            last = reinterpret_cast<std::uintptr_t>(begin);
            return {begin, size};
        }
        // Another thread may have mapped something there meanwhile.
        if (error != -EEXIST) throw MachineError::from_errno("cannot map a snapshot", -error);
    }
    throw MachineError("cannot map a snapshot: other threads are always faster");
}

// Returns 0 or a negative errno: -EEXIST when something else is there.
int GuestPhysicalMemory::map_contents(std::byte* begin, std::size_t size, const Contents& contents) {
    std::uint64_t at = 0;
    int error = 0;
    const auto map_to = [&](std::uint64_t end, int protection, int flags, int fd, std::uint64_t fd_offset) {
        if (error != 0 || at == end) return;
        void* const mapped = ::mmap(begin + at, end - at, protection, flags | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd,
                                    static_cast<off_t>(fd_offset));
        if (mapped == begin + at) {
            at = end;
        } else if (mapped == MAP_FAILED) {
            error = -errno;
        } else {  // by a kernel, or a sanitizer, that does not know MAP_FIXED_NOREPLACE
            ::munmap(mapped, end - at);
            error = -EEXIST;
        }
    };
    const auto map_zero_to = [&](std::uint64_t end, int protection) {
        map_to(end, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    };
    for (const Part& part : contents.parts) {
        map_zero_to(part.offset, PROT_READ | PROT_WRITE);
        map_to(part.offset + part.size, host_protection(part.protection), part.shared ? MAP_SHARED : MAP_PRIVATE,
               part.fd, part.fd_offset);
    }
    map_zero_to(contents.end, PROT_READ | PROT_WRITE);
    map_zero_to(size, PROT_NONE);
    if (error != 0 && at > 0) ::munmap(begin, at);
    return error;
}

std::optional<std::uint64_t> GuestPhysicalMemory::allocate(std::size_t size) {
    if (size > this->size() - allocated_) return std::nullopt;
    std::uint64_t offset = allocated_;
    cover(offset + size);
    allocated_ += size;
    return offset;
}

void GuestPhysicalMemory::cover(std::uint64_t end) {
    if (end <= covered_) return;
    std::uint64_t target = std::min<std::uint64_t>(std::max(end, covered_ + std::max(first_slot, covered_)), size());
    vm_->add_memory(x86::window_base + covered_, host(covered_), target - covered_);
    covered_ = target;
}

void GuestPhysicalMemory::replace(const char* what, std::uint64_t offset, std::size_t size, int protection, int flags,
                                  int fd, std::uint64_t fd_offset) {
    reserved_.before_mapping(offset, size);
    if (::mmap(host(offset), size, protection, flags | MAP_FIXED, fd, static_cast<off_t>(fd_offset)) != MAP_FAILED)
        return;
    // Nothing may be mapped there now (Linux before 6.12 unmaps the old mapping before it fails), and what this process
    // maps there next must not become the guest's.
    const int error = errno;
    if (::mmap(host(offset), size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        throw MachineError::from_errno("cannot keep the addresses of guest memory", errno);
    throw MachineError::from_errno(what, error);
}

void GuestPhysicalMemory::map_zero(std::uint64_t offset, std::size_t size, Protection protection) {
    replace("cannot map guest memory", offset, size, host_protection(protection),
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    use_huge_pages(offset, size, protection);
}

void GuestPhysicalMemory::use_huge_pages(std::uint64_t offset, std::size_t size, Protection protection) {
    if (!protection.write) return;
    reserved_.use_huge_pages(offset, size);
    // This is only a wish: kernels without transparent huge pages refuse it.
    if (transparent_ && size >= large_page_size) (void)::madvise(host(offset), size, MADV_HUGEPAGE);
}

void GuestPhysicalMemory::use_small_pages() {
    transparent_ = false;
    reserved_.use_small_pages();
}

void GuestPhysicalMemory::finish() {
    use_small_pages();
    covered_ = size();
}

void GuestPhysicalMemory::map_copy(std::uint64_t offset, std::size_t size, Protection protection, int fd,
                                   std::uint64_t fd_offset) {
    replace("cannot map a snapshot", offset, size, host_protection(protection), MAP_PRIVATE | MAP_NORESERVE, fd,
            fd_offset);
}

void GuestPhysicalMemory::map_shared(std::uint64_t offset, std::size_t size, Protection protection, int fd,
                                     std::uint64_t fd_offset) {
    replace("cannot map shared memory", offset, size, host_protection(protection), MAP_SHARED, fd, fd_offset);
}

void GuestPhysicalMemory::unmap(std::uint64_t offset, std::size_t size) {
    replace("cannot unmap guest memory", offset, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

void GuestPhysicalMemory::protect(std::uint64_t offset, std::size_t size, Protection protection) {
    reserved_.before_protecting(offset, size, protection);
    if (::mprotect(host(offset), size, host_protection(protection)) != 0)
        throw MachineError::from_errno("cannot protect guest memory", errno);
}

bool GuestPhysicalMemory::populate(std::uint64_t offset, std::size_t size) {
    return ::madvise(host(offset), size, MADV_POPULATE_WRITE) == 0;
}

void GuestPhysicalMemory::drop_changes(std::uint64_t offset, std::size_t size) {
    // Reserved huge pages are not given back: it is not certain that there is one again later.
    reserved_.make_zero(offset, size, [&](std::uint64_t from, std::size_t length) {
        if (::madvise(host(from), length, MADV_DONTNEED) != 0)
            throw MachineError::from_errno("cannot release guest memory", errno);
    });
}

}  // namespace tinykvm
