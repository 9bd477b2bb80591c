// The system calls a guest can make, as data.
//
// Thread safety: the table is constant.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

using SystemCallHandler = std::int64_t (*)(SyscallContext& call);

struct SystemCall {
    const char* name = nullptr;
    SystemCallHandler handler = nullptr;
    // One letter per argument, for CallTrace (trace.cpp): d int, l long, u unsigned, o octal, x hexadecimal, s string,
    // a address, and others for names and what an address points at.
    const char* arguments = "";
};

inline constexpr std::size_t system_call_numbers = 512;

// Null for a number that is not in the table: ENOSYS and a log line.
const SystemCall* find_system_call(std::uint64_t number);

// A line for Options::log_system_calls, as strace writes it: openat(AT_FDCWD, "/etc/hosts", O_RDONLY, 0) = 3
class CallTrace {
  public:
    // To be made before the call is: what it passes in is read now.
    CallTrace(const SyscallContext& call, const SystemCall& entry);
    // With what the call filled in, when it has a result; without one there is none.
    std::string line(std::optional<std::int64_t> result);
    // Of a call that has begun and waits.
    std::string unfinished() const;

  private:
    std::string begin() const;

    const SyscallContext& call_;
    const SystemCall& entry_;
    std::string thread_;  // which makes the call, when there are several
    std::vector<std::string> arguments_;
};
std::string describe_result(std::int64_t result);

}  // namespace tinykvm::linux_abi
