// Resource limits, priorities and the scheduler of a machine with one processor.
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <optional>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

// Returns 0 or a negative errno.
int set_limit(SyscallContext& call, std::uint64_t resource, const ResourceLimit& wanted) {
    ResourceLimit& limit = call.state.limits[resource];
    if (wanted.current > wanted.maximum) return -EINVAL;
    if (wanted.maximum > limit.maximum) return -EPERM;
    limit = wanted;
    if (resource == RLIMIT_NOFILE)
        call.state.files.set_limit(std::min<std::uint64_t>(wanted.current, call.options.max_open_files));
    return 0;
}

bool is_policy(int policy) {
    return policy == SCHED_OTHER || policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_BATCH ||
           policy == SCHED_IDLE;
}

bool is_realtime(int policy) { return policy == SCHED_FIFO || policy == SCHED_RR; }

// The parent, which is not in the guest, is there to be asked about.
bool is_process_or_parent(const SyscallContext& call, int id) { return id == parent_id || call.is_own(id); }

// Threads share the processor under each policy, and none can have precedence.
std::int64_t set_policy(SyscallContext& call, int policy, GuestAddr parameters) {
    std::int32_t priority = 0;
    if (call.int_arg(0) < 0 || parameters == 0) return -EINVAL;
    if (!call.memory.read(parameters, priority)) return -EFAULT;
    if (!is_process_or_parent(call, call.int_arg(0))) return -ESRCH;
    if (!is_policy(policy) || priority < 0 || priority > 99 || is_realtime(policy) != (priority != 0)) return -EINVAL;
    return is_realtime(policy) || !call.is_own(call.int_arg(0)) ? -EPERM : 0;
}

}  // namespace

std::int64_t sys_prlimit64(SyscallContext& call) {
    if (!call.is_own(call.int_arg(0))) return -ESRCH;
    const auto resource = static_cast<std::uint32_t>(call.args[1]);
    if (resource >= resource_limits) return -EINVAL;
    std::optional<ResourceLimit> wanted;
    if (call.args[2]) {
        wanted.emplace();
        if (!call.memory.read(call.args[2], *wanted)) return -EFAULT;
    }
    const ResourceLimit before = call.state.limits[resource];
    if (wanted)
        if (const int error = set_limit(call, resource, *wanted)) return error;
    if (call.args[3] && !call.memory.write(call.args[3], before)) return -EFAULT;
    return 0;
}

std::int64_t sys_getrlimit(SyscallContext& call) {
    const auto resource = static_cast<std::uint32_t>(call.args[0]);
    if (resource >= resource_limits) return -EINVAL;
    return call.memory.write(call.args[1], call.state.limits[resource]) ? 0 : -EFAULT;
}

std::int64_t sys_setrlimit(SyscallContext& call) {
    const auto resource = static_cast<std::uint32_t>(call.args[0]);
    ResourceLimit wanted;
    if (!call.memory.read(call.args[1], wanted)) return -EFAULT;
    if (resource >= resource_limits) return -EINVAL;
    return set_limit(call, resource, wanted);
}

std::int64_t sys_getpriority(SyscallContext& call) {
    if (call.int_arg(0) < 0 || call.int_arg(0) > PRIO_USER) return -EINVAL;
    if (call.int_arg(0) != PRIO_USER && !call.is_own(call.int_arg(1))) return -ESRCH;
    return 20 - call.state.nice;  // as the kernel encodes it, because errors are negative
}

std::int64_t sys_setpriority(SyscallContext& call) {
    if (call.int_arg(0) < 0 || call.int_arg(0) > PRIO_USER) return -EINVAL;
    if (call.int_arg(0) != PRIO_USER && !call.is_own(call.int_arg(1))) return -ESRCH;
    const int nice = std::clamp(call.int_arg(2), -20, 19);
    if (nice < call.state.nice) return -EACCES;
    call.state.nice = nice;
    return 0;
}

std::int64_t sys_sched_yield(SyscallContext& call) {
    call.yields = !call.state.parked.empty();
    call.state.thread.wait = {.returned = call.yields};
    return 0;
}

std::int64_t sys_sched_getaffinity(SyscallContext& call) {
    const auto size = static_cast<std::uint32_t>(call.args[1]);
    if (size < sizeof(std::uint64_t) || size % sizeof(std::uint64_t) != 0) return -EINVAL;
    if (!call.is_own(call.int_arg(0))) return -ESRCH;
    const ThreadState* thread = find_thread(call.state, call.int_arg(0));
    const std::uint64_t processors = (thread ? *thread : call.state.thread).processors & call.state.processors();
    return call.memory.write(call.args[2], processors) ? static_cast<std::int64_t>(sizeof processors) : -EFAULT;
}

std::int64_t sys_sched_setaffinity(SyscallContext& call) {
    const auto size = std::min<std::uint32_t>(static_cast<std::uint32_t>(call.args[1]), sizeof(std::uint64_t));
    std::uint64_t processors = 0;
    if (!call.memory.read(call.args[2], &processors, size)) return -EFAULT;
    if (!call.is_own(call.int_arg(0))) return -ESRCH;
    processors &= call.state.processors();
    if (processors == 0) return -EINVAL;
    ThreadState* thread = find_thread(call.state, call.int_arg(0));
    (thread ? *thread : call.state.thread).processors = processors;
    return 0;
}

std::int64_t sys_sched_getparam(SyscallContext& call) {
    if (call.int_arg(0) < 0 || call.args[1] == 0) return -EINVAL;
    if (!is_process_or_parent(call, call.int_arg(0))) return -ESRCH;
    return call.memory.write(call.args[1], std::int32_t{0}) ? 0 : -EFAULT;
}

std::int64_t sys_sched_getscheduler(SyscallContext& call) {
    if (call.int_arg(0) < 0) return -EINVAL;
    return is_process_or_parent(call, call.int_arg(0)) ? SCHED_OTHER : -ESRCH;
}

std::int64_t sys_sched_setscheduler(SyscallContext& call) {
    return set_policy(call, call.int_arg(1) & ~SCHED_RESET_ON_FORK, call.args[2]);
}

std::int64_t sys_sched_setparam(SyscallContext& call) { return set_policy(call, SCHED_OTHER, call.args[1]); }

std::int64_t sys_sched_get_priority_max(SyscallContext& call) {
    const int policy = call.int_arg(0);
    if (!is_policy(policy)) return -EINVAL;
    return is_realtime(policy) ? 99 : 0;
}

std::int64_t sys_sched_get_priority_min(SyscallContext& call) {
    const int policy = call.int_arg(0);
    if (!is_policy(policy)) return -EINVAL;
    return is_realtime(policy) ? 1 : 0;
}

std::int64_t sys_getcpu(SyscallContext& call) {
    const std::uint32_t zero = 0;
    for (std::size_t i : {0u, 1u})
        if (call.args[i] && !call.memory.write(call.args[i], zero)) return -EFAULT;
    return 0;
}

}  // namespace tinykvm::linux_abi
