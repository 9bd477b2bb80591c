// /dev/kvm: whether it is there and can do what this library needs, and which CPU it offers to guests.
// Source: Linux Documentation/virt/kvm/api.rst.
//
// Thread safety: immutable after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::kvm {

// One leaf of CPUID, as KVM takes it. Same layout as struct kvm_cpuid_entry2.
struct CpuidEntry {
    std::uint32_t function = 0, index = 0, flags = 0;
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    std::uint32_t padding[3] = {};

    static constexpr std::uint32_t index_is_significant = 1;  // in flags
};

struct Capability {
    std::string name;     // "KVM_CAP_DIRTY_LOG_RING"
    std::string purpose;  // one sentence
    bool present = false;
};

class System {
  public:
    // Opens /dev/kvm and checks it. Throws MachineError, which says what is missing and how to fix it.
    System();
    // The single instance of this process, made at the first use that succeeds. Throws like the constructor.
    static const System& instance();

    int fd() const { return fd_.get(); }
    std::size_t vector_state_size() const { return xsave_size_; }  // bytes KVM moves as XSAVE image
    std::size_t most_dirty_ring_entries() const { return dirty_ring_entries_; }
    std::span<const CpuidEntry> supported_cpuid() const { return cpuid_; }
    // True when another thread than last time may run a vCPU without waiting for a grace period of RCU (milliseconds).
    bool changes_threads_freely() const { return changes_threads_freely_; }
    // Everything we need of KVM, for `tinykvm probe`.
    std::span<const Capability> capabilities() const { return capabilities_; }

  private:
    FileDescriptor fd_;
    // A VM that is never run. While it exists, KVM keeps the virtualisation hardware of all CPUs switched on and its
    // own code patched for vCPUs like ours; without it the first VM and the last one would each interrupt every CPU of
    // the machine, twice.
    FileDescriptor idle_vm_, idle_vcpu_;
    std::size_t xsave_size_ = 4096, dirty_ring_entries_ = 0;
    bool changes_threads_freely_ = false;
    std::vector<CpuidEntry> cpuid_;
    std::vector<Capability> capabilities_;
};

}  // namespace tinykvm::kvm
