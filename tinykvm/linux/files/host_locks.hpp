// Locks of the host's files (fcntl and flock), so that guests can share a database file they may write.
//
// A lock belongs to an open file description of the host. The one of a guest's file is shared with the snapshot and all
// its forks and must stay as it is, so a file that is locked is opened once more on the host (OpenFile::locks). That
// description is closed, and its locks end, with the state it is in, or by FileTable::release_locks(): the locks of a
// request end when it is answered, so that a client that has the answer does not find them. Locks taken before the
// snapshot was made stay with the snapshot.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// FileKind::lock_range and FileKind::lock_whole.
std::int64_t lock_host_range(SyscallContext& call, OpenFile& file, int command, struct flock& lock);
std::int64_t lock_host_file(SyscallContext& call, OpenFile& file, int operation);

}  // namespace tinykvm::linux_abi
