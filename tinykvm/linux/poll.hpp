// What poll, select and epoll have in common: waiting for files.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstdint>
#include <optional>

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Can the caller make the file ready, from outside of the guest?
bool awaits_caller(const SyscallContext& call, const OpenFile& file);

// For a call that has found no file ready: returns 0 when its time is over, -EINTR, or parks its thread. With
// `for_caller` it waits for the caller, too.
std::int64_t wait_for_files(SyscallContext& call, std::optional<Clock::time_point> until, bool for_caller);

// Sets the mask that a ppoll, pselect or epoll_pwait waits with. Returns 0, -EFAULT or -EINVAL. The mask ends with the
// call or, when the call is interrupted, with the handler.
[[nodiscard]] int set_temporary_mask(SyscallContext& call, GuestAddr address, std::uint64_t size);
std::int64_t end_masked_call(SyscallContext& call, std::int64_t result);

// Reads a timeout, the struct timespec at `address`, and sets `end` to the moment when it ends, counted from now; with
// address 0 it never ends, and `end` gets no value. Returns 0, -EFAULT or -EINVAL.
[[nodiscard]] int read_timeout(const SyscallContext& call, GuestAddr address, std::optional<Clock::time_point>& end);
// The moment when a timeout in milliseconds ends; a negative one never does.
std::optional<Clock::time_point> end_of_timeout(int milliseconds);

}  // namespace tinykvm::linux_abi
