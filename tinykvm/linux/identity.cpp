// The identity of the process, and the name of its system. Both are the same in every guest and on every host; only
// memory and uptime differ.
#include <linux/capability.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/system_name.hpp"

namespace tinykvm::linux_abi {

namespace {

// An id can be changed only to what it is already; -1 leaves it as it is.
std::int64_t change_ids(const SyscallContext& call, int count) {
    for (int i = 0; i < count; ++i)
        if (call.int_arg(i) != user_id && !(count > 1 && call.int_arg(i) == -1)) return -EPERM;
    return 0;
}

// Is the function that calls the C library's getpid(), which has no stack frame, in CPython's event loop? Before
// version 3.12 that takes another number than when it began to run for a fork, in which it would not run; but here it
// does.
bool is_called_by_event_loop(const SyscallContext& call) {
    GuestAddr caller = 0;
    const Region* code = call.memory.read(call.registers.rsp, caller) ? call.memory.regions().find(caller) : nullptr;
    return code && code->name.find("/_asyncio.") != std::string::npos;
}

}  // namespace

std::int64_t sys_getpid(SyscallContext& call) {
    return is_called_by_event_loop(call) ? first_process_id : call.state.process_id;
}
std::int64_t sys_gettid(SyscallContext& call) { return call.state.thread.id; }
std::int64_t sys_getppid(SyscallContext&) { return parent_id; }
std::int64_t sys_getuid(SyscallContext&) { return user_id; }

std::int64_t sys_getresuid(SyscallContext& call) {
    const std::uint32_t id = user_id;
    for (int i = 0; i < 3; ++i)
        if (!call.memory.write(call.args[static_cast<std::size_t>(i)], id)) return -EFAULT;
    return 0;
}

std::int64_t sys_setuid(SyscallContext& call) { return change_ids(call, 1); }
std::int64_t sys_setreuid(SyscallContext& call) { return change_ids(call, 2); }
std::int64_t sys_setresuid(SyscallContext& call) { return change_ids(call, 3); }
std::int64_t sys_setfsuid(SyscallContext&) { return user_id; }

std::int64_t sys_getgroups(SyscallContext& call) { return call.int_arg(0) < 0 ? -EINVAL : 0; }

std::int64_t sys_getpgid(SyscallContext& call) { return call.is_own(call.int_arg(0)) ? first_process_id : -ESRCH; }
std::int64_t sys_getpgrp(SyscallContext&) { return first_process_id; }
std::int64_t sys_setpgid(SyscallContext& call) {
    if (call.int_arg(1) < 0) return -EINVAL;
    if (!call.is_own(call.int_arg(0))) return -ESRCH;
    return call.is_own(call.int_arg(1)) ? 0 : -EPERM;
}
std::int64_t sys_setsid(SyscallContext&) { return -EPERM; }  // the process leads its group already

std::int64_t sys_uname(SyscallContext& call) {
    utsname name;
    std::memset(&name, 0, sizeof name);
    const auto fill = [](auto& field, std::string_view text) { text.copy(field, sizeof field - 1); };
    fill(name.sysname, system_type);
    fill(name.nodename, system_host);
    fill(name.release, system_release);
    fill(name.version, system_version);
    fill(name.machine, "x86_64");
    fill(name.domainname, system_domain);
    return call.memory.write(call.args[0], name) ? 0 : -EFAULT;
}

std::int64_t sys_sysinfo(SyscallContext& call) {
    struct sysinfo info;
    std::memset(&info, 0, sizeof info);
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    info.uptime = now.tv_sec;
    const std::size_t total = call.memory.limits().bytes;
    info.totalram = total;
    info.freeram = total - std::min(total, call.memory.changed_bytes());
    info.procs = 1;
    info.mem_unit = 1;
    return call.memory.write(call.args[0], info) ? 0 : -EFAULT;
}

std::int64_t sys_capget(SyscallContext& call) {
    struct {
        std::uint32_t version;
        std::int32_t pid;
    } header;
    if (!call.memory.read(call.args[0], header)) return -EFAULT;
    std::size_t words = 0;
    switch (header.version) {
        case _LINUX_CAPABILITY_VERSION_1: words = 3; break;
        case _LINUX_CAPABILITY_VERSION_2:
        case _LINUX_CAPABILITY_VERSION_3: words = 6; break;
        default: {
            const std::uint32_t preferred = _LINUX_CAPABILITY_VERSION_3;
            if (!call.memory.write(call.args[0], preferred)) return -EFAULT;
            return call.args[1] == 0 ? 0 : -EINVAL;
        }
    }
    if (header.pid < 0) return -EINVAL;
    if (!call.is_own(header.pid)) return -ESRCH;
    const std::uint32_t none[6] = {};
    return call.memory.write(call.args[1], none, words * sizeof none[0]) ? 0 : -EFAULT;
}

std::int64_t sys_personality(SyscallContext& call) {
    const auto persona = static_cast<std::uint32_t>(call.args[0]);
    return persona == 0 || persona == 0xffffffff ? 0 : -EINVAL;
}

}  // namespace tinykvm::linux_abi
