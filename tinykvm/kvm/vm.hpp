// A KVM virtual machine: a guest-physical address space made of memory slots.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tinykvm/kvm/system.hpp"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::kvm {

// How long making a VM may take when the caller sets no limit.
inline constexpr Clock::duration usual_creation_time = std::chrono::seconds(10);

// Makes a VM without memory and vCPUs (KVM_CREATE_VM). KVM locks every mapping of the process for that, and gives up
// (EINTR) when a signal arrives meanwhile; the attempt is then repeated, until the deadline. Throws MachineError.
FileDescriptor create_vm(int kvm, Deadline deadline);

class Vm {
  public:
    // The dirty ring gets room for `written_pages`, rounded up to a power of two, within what KVM allows (65,536), at
    // 16 bytes a page of the kernel's memory. A guest that writes more pages than fit leaves its VM each time the ring
    // is full, and each page then costs it a fault again. `deadline`: see create_vm(). Throws MachineError.
    explicit Vm(std::size_t written_pages = 0, Deadline deadline = Clock::now() + usual_creation_time,
                const System& system = System::instance());

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
