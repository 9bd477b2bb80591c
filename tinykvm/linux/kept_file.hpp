// The in-memory file that the host keeps (Options::kept_file): when it is saved.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Is that the file?
bool is_kept_file(const SyscallContext& call, FileId inode);
// Saves the file, if there is one and it may have changed since it was saved last. Returns 0 or a negative errno; what
// was not saved is saved the next time. Throws Timeout and Interrupted.
int save_kept_file(SyscallContext& call);
// The same when the program can write to it through a mapping.
int save_mapped_kept_file(SyscallContext& call);

}  // namespace tinykvm::linux_abi
