// Where the memory is that all VMs of a program see.
#include "src/calls/guest_calls.hpp"

namespace tinykvm::host {

// Two values: where it begins and where it ends. Both are 0 when the program has none.
HostCallResult GuestCalls::shared_memory_area(const HostCall&, GuestMemory& memory) {
    const SharedArea& area = memory.shared();
    return HostCallResult::resume(static_cast<std::int64_t>(area.begin), area.end);
}

}  // namespace tinykvm::host
