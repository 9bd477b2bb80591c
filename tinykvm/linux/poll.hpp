// What poll, select and epoll have in common: waiting for files.
#pragma once

#include <cstdint>
#include <optional>

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Is it the host's standard input, which becomes ready by itself?
bool is_host_input(const SyscallContext& call, const OpenFile& file);

// What a call that found nothing has for a result: 0 when its time is over, EINTR; or it waits. `input`: for the host's
// standard input too.
std::int64_t wait_for_files(SyscallContext& call, std::optional<Clock::time_point> until, bool input);

// The mask a ppoll, pselect or epoll_pwait waits with: 0, EFAULT or EINVAL. It ends with the call, and when the call is
// interrupted with the handler.
int set_temporary_mask(SyscallContext& call, GuestAddr address, std::uint64_t size);
std::int64_t end_masked_call(SyscallContext& call, std::int64_t result);

// The struct timespec at `address`, from now; no value when there is none. `error` as read_timespec.
std::optional<Clock::time_point> read_until(const SyscallContext& call, GuestAddr address, int& error);
// Of a timeout in milliseconds, where a negative one is none.
std::optional<Clock::time_point> until_milliseconds(int milliseconds);

}  // namespace tinykvm::linux_abi
