// What poll, select and epoll have in common: waiting for files.
#pragma once

#include <cstdint>
#include <optional>

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Is the file the host's standard input, which no guest makes ready?
bool is_host_input(const SyscallContext& call, const OpenFile& file);

// The result of a call that found no file ready: 0 when its time is over, EINTR, or none yet because its thread waits.
// With `input` it waits for the host's standard input, too.
std::int64_t wait_for_files(SyscallContext& call, std::optional<Clock::time_point> until, bool input);

// Sets the mask that a ppoll, pselect or epoll_pwait waits with; 0, EFAULT or EINVAL. The mask ends with the call or,
// when the call is interrupted, with the handler.
int set_temporary_mask(SyscallContext& call, GuestAddr address, std::uint64_t size);
std::int64_t end_masked_call(SyscallContext& call, std::int64_t result);

// The moment that is the struct timespec at `address` from now; no value when the address is 0. `error` as
// read_timespec.
std::optional<Clock::time_point> read_until(const SyscallContext& call, GuestAddr address, int& error);
// The same of a timeout in milliseconds, where a negative one never ends.
std::optional<Clock::time_point> until_milliseconds(int milliseconds);

}  // namespace tinykvm::linux_abi
