// Locks of the host's files (fcntl and flock), so that guests can share a database file they may write.
//
// A lock belongs to a description of the host's. The guest's own is shared with the snapshot and all its forks and must
// stay as it is, so a description that locks gets one more, its own, of the same file. It goes when the state it is in
// goes, and when FileTable::release_locks() says so: what a request locked ends when it is answered, so that a
// client that has the answer does not find the lock. Locks taken before the snapshot was made stay with the snapshot.
#pragma once

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// FileKind::lock_range and FileKind::lock_whole.
std::int64_t lock_host_range(SyscallContext& call, OpenFile& file, int command, struct flock& lock);
std::int64_t lock_host_file(SyscallContext& call, OpenFile& file, int operation);

}  // namespace tinykvm::linux_abi
