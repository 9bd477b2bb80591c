// What pipes and pairs of sockets share.
#pragma once

#include <vector>

#include "tinykvm/linux/file_table.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

// Read from the pipe that the file reads from, and write to the one it writes to. `flags`: MSG_DONTWAIT and
// MSG_NOSIGNAL, as in recv() and send().
std::int64_t read_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags);
std::int64_t write_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags);
// The same in the form of FileKind::read and write; pipes have no position.
std::int64_t read_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*);
std::int64_t write_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*);
std::int64_t available_in_pipe(const SyscallContext& call, const OpenFile& file);

// What is left of the ranges after their first `done` bytes.
std::vector<IoVector> remaining(IoVectors ranges, std::uint64_t done);
// The result of a write that nobody can read: -EPIPE and, but with MSG_NOSIGNAL, a signal.
std::int64_t broken_pipe(SyscallContext& call, int flags);
// Is there room for a small write, so that it cannot fail?
bool has_room_for_write(const SyscallContext& call, const Pipe& pipe);
// Is a call that finds nothing to wait?
bool may_wait(const OpenFile& file, int flags);

// There is no room for so many bytes in the pipe: logs it when that is because of all pipes together (max_piped).
void warn_of_piped_bytes(const SyscallContext& call, const Pipe& pipe, std::uint64_t size);
// Can two files be opened, and their descriptors be written to `address`? Returns 0, -EFAULT or -EMFILE.
[[nodiscard]] int check_room_for_pair(const SyscallContext& call, GuestAddr address);
// Opens both; there must be room. Writes their descriptors to `address`.
std::int64_t open_pair(SyscallContext& call, OpenFile first, OpenFile second, bool close_on_exec, GuestAddr address);

}  // namespace tinykvm::linux_abi
