// The frame Linux puts on the stack of an x86-64 program before a signal handler runs, byte for byte:
// unwinders, garbage collectors and crash reporters read it. Source: Linux arch/x86/include/asm/sigframe.h.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstdint>

#include "tinykvm/linux/process.hpp"
#include "tinykvm/linux/signal_state.hpp"

namespace tinykvm::linux_abi {

// What the processor said about a fault; zeros for other signals.
struct FaultContext {
    std::uint64_t vector = 0, error_code = 0, address = 0;
};

// Writes the frame and sets the registers to the beginning of the handler. rt_sigreturn restores `saved_mask`. False
// when the stack has no room; registers are unchanged then.
[[nodiscard]] bool push_signal_frame(GuestMemory& memory, ProcessState& state, const PendingSignal& pending,
                                     const SignalAction& action, SignalSet saved_mask, const FaultContext& fault,
                                     Registers& registers, VectorState& vectors);

// Restores what is in the frame at the stack pointer. False when it is not valid; nothing has changed then.
[[nodiscard]] bool pop_signal_frame(GuestMemory& memory, ProcessState& state, Registers& registers,
                                    VectorState& vectors);

}  // namespace tinykvm::linux_abi
