// What pipes and pairs of sockets share.
#pragma once

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Read from the pipe that the file reads from, and write to the one it writes to. `flags`: MSG_DONTWAIT and
// MSG_NOSIGNAL, as in recv() and send().
std::int64_t read_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags);
std::int64_t write_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, int flags);
// The same in the form of FileKind::read and write; pipes have no position.
std::int64_t read_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*);
std::int64_t write_pipe(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t*);
std::int64_t available_in_pipe(const SyscallContext& call, const OpenFile& file);

short reader_readiness(const Pipe& pipe);
short writer_readiness(const Pipe& pipe);

// Can two files be opened, and their descriptors be written to `address`? Returns 0, -EFAULT or -EMFILE.
[[nodiscard]] int check_room_for_pair(const SyscallContext& call, GuestAddr address);
// Opens both; there must be room. Writes their descriptors to `address`.
std::int64_t open_pair(SyscallContext& call, OpenFile first, OpenFile second, bool close_on_exec, GuestAddr address);

}  // namespace tinykvm::linux_abi
