// Holds a guest to its limit of memory it may change: collects from the vCPU's dirty ring which pages it wrote, and
// keeps the ring so short that it stops soon after it was at its limit (docs/design.md, "Limits").
//
// Owned by Guest; borrows vCPU and memory. Thread safety: used by the thread that handles what the guest wants.
#pragma once

#include <cstdint>
#include <vector>

#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/memory/guest_memory.hpp"

namespace tinykvm {

class WriteLimit {
  public:
    WriteLimit(kvm::Vcpu& vcpu, GuestMemory& memory) : vcpu_(vcpu), memory_(memory) {}

    // Tells the memory which pages the guest has written since the last time.
    void collect();
    // Collects them, and throws OutOfMemory when they are too many: whenever the guest has stopped, before anything is
    // done for it that could take some of them away.
    void enforce();
    // Could the guest write much more before the dirty ring is full than its limit leaves it?
    bool may_write_too_much() const;
    // Before the guest is entered: it then stops at the latest when it has written little more than that.
    void shorten_ring();
    // When the ring was full and has been collected: makes room for as many pages as the limit leaves.
    void make_ring_room();

  private:
    kvm::Vcpu& vcpu_;
    GuestMemory& memory_;
    std::vector<std::uint64_t> written_;  // pages collect() found; a member to keep its memory
    bool unbounded_ = false;              // this KVM cannot take room from the ring
};

}  // namespace tinykvm
