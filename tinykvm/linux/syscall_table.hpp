// The system calls a guest can make, as data.
//
// Thread safety: the table is constant.
#pragma once

#include <cstdint>
#include <span>

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

using SystemCallHandler = std::int64_t (*)(SyscallContext& call);

struct SystemCall {
    const char* name = nullptr;
    SystemCallHandler handler = nullptr;
    // One letter per argument, for the log: d int, l long, u unsigned, o octal, x hexadecimal, s string,
    // a address.
    const char* arguments = "";
};

inline constexpr std::size_t system_call_numbers = 512;

// Null for a number that is not in the table: ENOSYS and a log line.
const SystemCall* find_system_call(std::uint64_t number);

// "openat(-100, "/etc/hosts", 0x0, 0) = 3" for Options::log_system_calls.
std::string describe_call(const SyscallContext& call, const SystemCall& entry);
std::string describe_result(std::int64_t result);

}  // namespace tinykvm::linux_abi
