// The one process-wide effect of this library: a real-time signal with an empty handler, which makes a thread
// leave KVM_RUN. The first of SIGRTMAX-2, SIGRTMAX-3, ... whose disposition is the default is taken, at the first use.
#pragma once

namespace tinykvm::kvm {

// The signal's number. Throws MachineError when all real-time signals are taken.
int kick_signal();

// Lets the calling thread receive it.
void accept_kick_signal();

}  // namespace tinykvm::kvm
