// The life of a request VM. One enum, one place for its transitions.
//
//   building -> idle -> reserved -> running -> answered -> resetting -> idle -> ...
//                        | ^   |  ^           | ^                 |
//                        | '---'  '-----------'                   '-> withdrawn
//                        '------------ given back unused ---^
//
// building    its thread makes the fork
// idle        equal to the snapshot (or, not ephemeral, as the last request left it); the pool may hand it out
// reserved    the holder of the lease lays a request out in its memory
// running     its thread runs the guest; nobody else touches it
// answered    the guest stands still; the holder takes the answer out of its memory
//             (a body that goes in or out in pieces has the guest run for each: back and forth)
// resetting   its thread makes it equal to the snapshot again, or builds a new fork when that fails
// withdrawn   the end: the pool is closed, or there is no fork to be had
//
// Thread safety: guarded by the mutex of its RequestVm.
#pragma once

namespace tinykvm::host {

enum class VmState { building, idle, reserved, running, answered, resetting, withdrawn };

const char* to_string(VmState state);
bool may_follow(VmState from, VmState to);

class VmLife {
  public:
    VmState state() const { return state_; }
    // A transition that is not in the picture is a mistake of ours and ends the process.
    void move_to(VmState next);

  private:
    VmState state_ = VmState::building;
};

}  // namespace tinykvm::host
