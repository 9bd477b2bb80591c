// The frame Linux puts on the stack of an x86-64 program before a signal handler runs, byte for byte:
// unwinders, garbage collectors and crash reporters read it.
#pragma once

#include <cstdint>

#include "tinykvm/linux/process.hpp"
#include "tinykvm/linux/signal_state.hpp"

namespace tinykvm::linux_abi {

// What the processor said about a fault; zeros for other signals.
struct FaultContext {
    std::uint64_t vector = 0, error_code = 0, address = 0;
};

// Writes the frame and points the registers at the handler. `saved_mask` comes back with rt_sigreturn.
// False when the stack cannot take it; registers are unchanged then.
bool push_signal_frame(GuestMemory& memory, ProcessState& state, const PendingSignal& pending,
                       const SignalAction& action, SignalSet saved_mask, const FaultContext& fault,
                       Registers& registers, VectorState& vectors);

// Takes the frame at the stack pointer back. False when it is not valid; nothing has changed then.
bool pop_signal_frame(GuestMemory& memory, ProcessState& state, Registers& registers, VectorState& vectors);

}  // namespace tinykvm::linux_abi
