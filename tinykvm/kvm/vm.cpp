#include "tinykvm/kvm/vm.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/ioctl.hpp"

namespace tinykvm::kvm {

namespace {
// Three pages below 4 GiB that Intel's KVM wants for itself (Documentation/virt/kvm/api.rst, KVM_SET_TSS_ADDR).
// Nothing of ours is there: the window begins at 4 GiB.
constexpr unsigned long tss_address = 0xFFFBD000;

// KVM wants a power of two that leaves room for entries of its own (64, with Intel's page modification log 576).
std::size_t ring_entries(std::size_t written_pages, std::size_t most) {
    constexpr std::size_t least = 2048;
    return std::bit_ceil(std::clamp(written_pages, least, std::max(least, std::bit_floor(most))));
}
}  // namespace

FileDescriptor create_vm(int kvm, Deadline deadline) {
    const std::string what = "cannot create a virtual machine (KVM_CREATE_VM)";
    for (;;) {
        FileDescriptor vm(::ioctl(kvm, KVM_CREATE_VM, 0));
        if (vm) return vm;
        if (errno != EINTR) throw MachineError::from_errno(what, errno);
        if (Clock::now() >= deadline)
            throw MachineError(what + ": signals interrupted each attempt until the time for it was over");
    }
}

Vm::Vm(std::size_t written_pages, Deadline deadline, const System& system)
    : system_(&system),
      dirty_ring_entries_(ring_entries(written_pages, system.most_dirty_ring_entries())),
      fd_(create_vm(system.fd(), deadline)) {
    if (::ioctl(fd(), KVM_SET_TSS_ADDR, tss_address) < 0) throw MachineError::from_errno("KVM_SET_TSS_ADDR", errno);

    kvm_enable_cap ring{};
    ring.cap = KVM_CAP_DIRTY_LOG_RING;
    ring.args[0] = dirty_ring_entries_ * sizeof(kvm_dirty_gfn);
    if (::ioctl(fd(), KVM_ENABLE_CAP, &ring) < 0)
        throw MachineError::from_errno("cannot enable the dirty ring (KVM_CAP_DIRTY_LOG_RING)", errno);
}

void Vm::add_memory(std::uint64_t physical, std::byte* host, std::size_t size) {
    kvm_userspace_memory_region region{};
    region.slot = static_cast<std::uint32_t>(slots_.size());
    region.flags = KVM_MEM_LOG_DIRTY_PAGES;
    region.guest_phys_addr = physical;
    region.memory_size = size;
    region.userspace_addr = reinterpret_cast<std::uint64_t>(host);
    if (::ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &region) < 0)
        throw MachineError::from_errno("cannot add guest memory (KVM_SET_USER_MEMORY_REGION)", errno);
    slots_.push_back({physical, size});
}

}  // namespace tinykvm::kvm
