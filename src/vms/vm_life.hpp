// The life of a request VM: one enum, and one place for its transitions.
//
//   building -> idle -> reserved -> running -> answered -> resetting -> idle -> ...
//                        | ^   |  ^           | ^                 |
//                        | '---'  '-----------'                   '-> withdrawn
//                        '------------ given back unused ---^
//
// building      its thread makes the fork
// idle          equal to the snapshot (or, not ephemeral, as the last request left it); the pool may hand it out
// idle_soft     the same, as a request with soft_reset left it: only another one of this kind may find it like this
// reserved      the holder of the lease lays a request out in its memory
// reserved_soft reserved out of idle_soft, and not used yet
// running       its thread runs the guest, or the guest is called where that thread waits inside it
// running_here  the holder's thread runs the guest
// answered      the guest stands still; the holder takes the answer out of its memory
//               (a body that goes in or out in pieces has the guest run for each: back and forth)
// resetting     given back; its thread makes it fit for another request, or builds a new fork when that fails
// withdrawn     the end: the pool is closed, or no fork can be made
//
// Thread safety: a plain value; the mutex of its VmSlot guards it.
#pragma once

namespace tinykvm::host {

enum class VmState {
    building,
    idle,
    idle_soft,
    reserved,
    reserved_soft,
    running,
    running_here,
    answered,
    resetting,
    withdrawn
};

// What a request leaves behind in its VM, and so what has to be done before the next one.
enum class Leftover {
    nothing,  // the VM is as the request found it
    kept,     // what it changed stays for the next one: the program is not ephemeral
    soft,     // what it changed stays for the next request with soft_reset
    spoiled   // the VM has to be reset
};

// Where the thread of a VM is while a guest can be called without being entered (`poll`).
enum class ThreadPlace {
    outside,  // it waits for work, or works
    inside,   // it is in the guest that waits for a call, or is about to enter it, or has just left it
    leaving   // the same, but its guest has been told to leave after an answer, and cannot be called again
};

// One word, for people; the same for the two kinds of idle, reserved and running.
const char* to_string(VmState state);
bool may_follow(VmState from, VmState to);

class VmLife {
  public:
    VmState state() const { return state_; }
    bool is_idle() const { return state_ == VmState::idle || state_ == VmState::idle_soft; }
    bool is_running() const { return state_ == VmState::running || state_ == VmState::running_here; }
    // A transition that is not in the picture is a mistake of ours and ends the process.
    void move_to(VmState next);

  private:
    VmState state_ = VmState::building;
};

}  // namespace tinykvm::host
