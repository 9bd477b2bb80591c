// Whose turn it is on the vCPU of a program with several threads: ends the turn of the one that runs, by a kick as for
// a deadline, and lets the program's Linux choose the next (linux/scheduler.cpp).
#include <algorithm>

#include "tinykvm/errors.hpp"
#include "tinykvm/guest.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// A turn is some times what it takes to change threads, so that they get somewhere on emulated and overcommitted hosts,
// too.
constexpr Clock::duration longest_turn = std::chrono::milliseconds(100);
constexpr int turn_over_change = 16;

}  // namespace

void Guest::end_turn() noexcept {
    turn_over_.store(true);
    vcpu_.kick();
}

bool Guest::end_of_turn() {
    if (!turn_over_.load()) return false;
    turn_watch_.reset();
    turn_over_.store(false);
    vcpu_.acknowledge();
    if (interrupted_.load()) vcpu_.kick();  // that was not ours to acknowledge
    return true;
}

std::optional<Stop> Guest::interrupted(Deadline deadline) {
    if (!end_of_turn() || process_.alone()) return std::nullopt;
    Registers registers = user_registers();
    // A thread is left between two instructions of its own: not in supervisor mode, not with an exception on its way
    // and not in the shim, where it may hold the mailbox.
    const bool in_shim = registers.rip - x86::shim < page_size;
    if (in_shim || !x86::in_user_mode(vcpu_.system_registers()) || vcpu_.has_pending_exception()) {
        turn_length_ = std::min(turn_length_ * 2, longest_turn);
        watch_turn(true);
        return std::nullopt;
    }
    const auto began = Clock::now();
    process_used_ = true;
    const Registers before = registers;
    linux_abi::ThreadPointers pointers = thread_pointers();
    const linux_abi::Outcome outcome = process_.end_turn(registers, pointers, vectors_, deadline);
    set_thread_pointers(pointers);
    enter_user(registers);
    turn_length_ = std::clamp((Clock::now() - began) * turn_over_change, shortest_turn, longest_turn);
    if (!process_.alone()) watch_turn(true);
    return conclude(outcome, "", before);
}

void Guest::watch_turn(bool begins) {
    const auto wanted = process_.others_ready_at();
    if (!wanted) return turn_watch_.reset();
    const Deadline end = std::max(*wanted, Clock::now() + turn_length_);
    if (turn_watch_ && !begins && turn_ends_ <= end) return;
    turn_ends_ = end;
    turn_watch_.emplace(vcpu_, turn_over_, end);
}

void Guest::turn_to_waiting_thread(int id) {
    if (process_.state().thread.id == id) return;
    process_used_ = true;
    Registers registers = user_registers();
    linux_abi::ThreadPointers pointers = thread_pointers();
    if (!process_.turn_to(id, registers, pointers, vectors_))
        throw MachineError("the thread that waited for requests has ended");
    set_thread_pointers(pointers);
    enter_user(registers);
}

}  // namespace tinykvm
