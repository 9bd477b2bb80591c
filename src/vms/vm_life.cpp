#include "src/vms/vm_life.hpp"

#include <cstdio>
#include <cstdlib>

namespace tinykvm::host {

const char* to_string(VmState state) {
    switch (state) {
        case VmState::building: return "building";
        case VmState::idle:
        case VmState::idle_soft: return "idle";
        case VmState::reserved:
        case VmState::reserved_soft: return "reserved";
        case VmState::running:
        case VmState::running_here: return "running";
        case VmState::answered: return "answered";
        case VmState::resetting: return "resetting";
        case VmState::withdrawn: return "withdrawn";
    }
    return "unknown";
}

bool may_follow(VmState from, VmState to) {
    using enum VmState;
    const bool is_running = to == running || to == running_here;
    switch (from) {
        case building: return to == idle || to == withdrawn;
        case idle: return to == reserved || to == withdrawn;
        case idle_soft: return to == reserved_soft || to == withdrawn;
        case reserved: return is_running || to == resetting;
        case reserved_soft: return to == reserved || to == resetting;
        case running:
        case running_here: return to == answered || to == reserved;
        case answered: return is_running || to == resetting;
        case resetting: return to == idle || to == idle_soft || to == withdrawn;
        case withdrawn: return false;
    }
    return false;
}

void VmLife::move_to(VmState next) {
    if (!may_follow(state_, next)) {
        std::fprintf(stderr, "tinykvm: a request VM cannot go from %s to %s\n", to_string(state_), to_string(next));
        std::abort();
    }
    state_ = next;
}

}  // namespace tinykvm::host
