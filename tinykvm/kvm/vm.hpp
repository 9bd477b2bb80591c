// A KVM virtual machine: a guest-physical address space made of memory slots.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tinykvm/kvm/file_descriptor.hpp"
#include "tinykvm/kvm/system.hpp"

namespace tinykvm::kvm {

class Vm {
  public:
    // `working_set`: pages the guest may write until its dirty ring must be recycled, after which it faults on each
    // of them once more. Costs the kernel some 20 to 50 bytes a page, at least 32 KiB; KVM has room for 50,000.
    // Throws MachineError.
    explicit Vm(const System& system = System::instance(), std::size_t working_set = 0);

    // Makes host memory [host, host+size) the guest's memory at `physical`; page aligned, not overlapping.
    // Writes to it are logged in the vCPU's dirty ring, as page numbers counted from the first slot's begin.
    // Costs the kernel about 10 bytes a page with shadow paging. Throws MachineError.
    void add_memory(std::uint64_t physical, std::byte* host, std::size_t size);

    struct Slot {
        std::uint64_t physical, size;
    };
    std::span<const Slot> slots() const { return slots_; }
    int fd() const { return fd_.get(); }
    const System& system() const { return *system_; }

    std::size_t dirty_ring_entries() const { return dirty_ring_entries_; }

  private:
    const System* system_;
    std::size_t dirty_ring_entries_;
    FileDescriptor fd_;
    std::vector<Slot> slots_;
};

}  // namespace tinykvm::kvm
