// Signals of a guest process: queueing them, entering its handlers, and returning from these.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstdint>

#include "tinykvm/linux/process.hpp"
#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Delivers the signals that are pending and not blocked. Has to be called after a system call, before the guest goes
// on.
Outcome deliver_pending(GuestMemory& memory, ProcessState& state, const Processor& on);
// Is a call that a signal interrupts made again when its handler has returned?
bool restarts_call(const ProcessState& state);

// Delivers a fault. One that is blocked or ignored ends the program, as on Linux.
Outcome deliver_fault(GuestMemory& memory, ProcessState& state, const Fault& fault, Registers& registers,
                      VectorState& vectors);

// Queues a signal for the process, or for one thread of it. Returns 0, or -EAGAIN when too many wait. Signals whose
// disposition is to do nothing are dropped.
int send_signal(ProcessState& state, int signal, const SignalInfo& info);
int send_signal(ProcessState& state, ThreadState& thread, int signal, const SignalInfo& info);
// The siginfo of a signal that the process sends to itself with kill(), tkill() and the like.
SignalInfo signal_info_from_self(const ProcessState& state, int signal, int code);
// Takes a pending signal in `set` of the running thread, or of the process, out of its queue; signal 0 when there is
// none.
PendingSignal take_pending(ProcessState& state, SignalSet set);
// Removes all of these from all queues.
void forget_pending(ProcessState& state, SignalSet set);
// The signals pending for a thread, or for the process.
SignalSet pending_set(const ProcessState& state, const ThreadState& thread);
// Those of them that are not blocked and do something: they end a call that waits.
SignalSet deliverable_set(const ProcessState& state, const ThreadState& thread);

// rt_sigreturn: restores what is in the frame at the stack pointer. False when the frame is not valid; nothing has
// changed then.
[[nodiscard]] bool return_from_handler(SyscallContext& call);

// Does the program run on its alternate stack?
bool on_alternate_stack(const ProcessState& state, std::uint64_t stack_pointer);

}  // namespace tinykvm::linux_abi
