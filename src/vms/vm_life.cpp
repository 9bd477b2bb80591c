#include "src/vms/vm_life.hpp"

#include <cstdio>
#include <cstdlib>

namespace tinykvm::host {

const char* to_string(VmState state) {
    switch (state) {
        case VmState::building: return "building";
        case VmState::idle: return "idle";
        case VmState::reserved: return "reserved";
        case VmState::running: return "running";
        case VmState::answered: return "answered";
        case VmState::resetting: return "resetting";
        case VmState::withdrawn: return "withdrawn";
    }
    return "unknown";
}

bool may_follow(VmState from, VmState to) {
    switch (from) {
        case VmState::building: return to == VmState::idle || to == VmState::withdrawn;
        case VmState::idle: return to == VmState::reserved || to == VmState::withdrawn;
        case VmState::reserved: return to == VmState::running || to == VmState::resetting;
        case VmState::running: return to == VmState::answered || to == VmState::reserved;
        case VmState::answered: return to == VmState::resetting || to == VmState::running;
        case VmState::resetting: return to == VmState::idle || to == VmState::withdrawn;
        case VmState::withdrawn: return false;
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
