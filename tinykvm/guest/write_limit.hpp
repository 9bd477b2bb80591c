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

    // So many vCPUs run at a time from now on: this one stops when it has written its part of what the limit leaves.
    void share_with(unsigned vcpus) { vcpus_ = vcpus; }

    // Tells the memory which pages the guest has written since the last time.
    void collect();
    // Collects them, and throws OutOfMemory when they are too many. Has to be called when the guest has stopped, before
    // anything is done for it that may take pages away.
    void enforce();
    // Could the guest write much more before the dirty ring is full than its limit leaves it?
    bool may_write_too_much() const;
    // Shortens the ring so that the guest stops soon after it has written what its limit leaves. Has to be called
    // before the guest is entered.
    void shorten_ring();
    // Makes the pages zero in which threads hand over, as far as the guest has ever written to them: they are in no
    // image. Has to be called at each reset, after collect().
    void clear_hand_over_pages();
    // Makes room for as many pages as the limit leaves. For a ring that was full and has been collected.
    void make_ring_room();

  private:
    std::size_t pages_left() const;

    kvm::Vcpu& vcpu_;
    GuestMemory& memory_;
    std::vector<std::uint64_t> written_;  // pages collect() found; a member to keep its memory
    // The hand-over pages the guest has written since the VM was made, a bit for each. KVM does not name a page again.
    std::uint16_t hand_over_written_ = 0;
    unsigned vcpus_ = 1;
    bool unbounded_ = false;  // this KVM cannot take room from the ring
};

}  // namespace tinykvm
