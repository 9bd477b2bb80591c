// Lets a new fork touch the pages that its requests are known to write, in the guest and before it is handed out. Their
// private copies exist already; what is left is how KVM learns of each page, a fault that only an access of the guest
// itself can take (docs/design.md, "Snapshot and reset").
#pragma once

#include <span>

#include "tinykvm/guest/write_limit.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/memory/guest_memory.hpp"

namespace tinykvm {

// Runs the shim until it has touched the pages of all ranges; that changes no byte of them. The vCPU is in user mode
// and has no call; its registers are lost, the mailbox is empty afterwards. False: the guest has left before the end,
// so that what it left with is to be forgotten. Throws MachineError.
[[nodiscard]] bool touch_pages(kvm::Vcpu& vcpu, GuestMemory& memory, WriteLimit& writes,
                               std::span<const GuestRange> ranges);

}  // namespace tinykvm
