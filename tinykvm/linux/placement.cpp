// Calls that place memory and threads on the parts of a large machine. Here is one node with one processor, so there is
// nothing to choose.
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <sched.h>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr int policy_flags = MPOL_MODE_FLAGS;

// struct sched_attr as of its second version.
struct SchedulingAttributes {
    std::uint32_t size = 0, policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0, deadline = 0, period = 0;
    std::uint32_t least_utilization = 0, most_utilization = 1024;
};
constexpr std::uint32_t first_size = 48;  // of the first version of the structure
static_assert(sizeof(SchedulingAttributes) == 56);

// The expedited barriers that a process has to register for, each by the bit after that of its command.
constexpr int registrations = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
                              MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
constexpr int barriers = MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
                         MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE;

}  // namespace

std::int64_t sys_sched_getattr(SyscallContext& call) {
    const auto size = static_cast<std::uint32_t>(call.args[2]);
    if (call.args[1] == 0 || call.int_arg(0) < 0 || size < first_size || size > page_size || call.args[3] != 0)
        return -EINVAL;
    if (!call.is_own(call.int_arg(0))) return -ESRCH;
    SchedulingAttributes attributes;
    attributes.size = std::min<std::uint32_t>(size, sizeof attributes);
    attributes.nice = call.state.nice;
    return call.memory.write(call.args[1], &attributes, attributes.size) ? 0 : -EFAULT;
}

std::int64_t sys_sched_setattr(SyscallContext& call) {
    if (call.args[1] == 0 || call.int_arg(0) < 0 || call.args[2] != 0) return -EINVAL;
    SchedulingAttributes wanted;
    std::uint32_t size = 0;
    if (!call.memory.read(call.args[1], size)) return -EFAULT;
    if (size == 0) size = first_size;
    if (size < first_size || size > page_size) {
        const auto known = static_cast<std::uint32_t>(sizeof wanted);
        return call.memory.write(call.args[1], known) ? -E2BIG : -EFAULT;
    }
    if (!call.memory.read(call.args[1], &wanted, std::min<std::size_t>(size, sizeof wanted))) return -EFAULT;
    if (!call.is_own(call.int_arg(0))) return -ESRCH;
    constexpr std::uint64_t reset_on_fork = 1;  // SCHED_FLAG_RESET_ON_FORK
    if (wanted.flags & ~reset_on_fork) return -EINVAL;
    switch (wanted.policy) {
        case SCHED_OTHER:
        case SCHED_BATCH:
        case SCHED_IDLE:
            if (wanted.priority != 0) return -EINVAL;
            if (wanted.nice < call.state.nice && wanted.policy != SCHED_IDLE) return -EPERM;
            if (wanted.policy != SCHED_IDLE) call.state.nice = std::min(wanted.nice, 19);
            return 0;
        case SCHED_FIFO:
        case SCHED_RR: return wanted.priority < 1 || wanted.priority > 99 ? -EINVAL : -EPERM;
        case 6: return -EPERM;  // SCHED_DEADLINE
        default: return -EINVAL;
    }
}

std::int64_t sys_sched_rr_get_interval(SyscallContext& call) {
    if (call.int_arg(0) < 0) return -EINVAL;
    if (!call.is_own(call.int_arg(0))) return -ESRCH;
    const TimeSpec slice{0, 4'000'000};
    return call.memory.write(call.args[1], slice) ? 0 : -EFAULT;
}

// All threads run on one processor, which sees its own memory accesses in order.
std::int64_t sys_membarrier(SyscallContext& call) {
    const int command = call.int_arg(0);
    if (call.int_arg(1) != 0) return -EINVAL;
    if (command == MEMBARRIER_CMD_QUERY) return barriers | registrations;
    if ((command & (command - 1)) || !(command & (barriers | registrations))) return -EINVAL;
    if (command & registrations) {
        call.state.memory_barriers |= command;
        return 0;
    }
    const bool has_to_be_registered =
        command & (MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
    return has_to_be_registered && !(call.state.memory_barriers & command << 1) ? -EPERM : 0;
}

std::int64_t sys_mbind(SyscallContext& call) {
    const int mode = call.int_arg(2) & ~policy_flags;
    if (call.args[0] % page_size != 0 || mode < 0 || mode >= MPOL_MAX) return -EINVAL;
    if (call.args[5] & ~std::uint64_t{MPOL_MF_VALID}) return -EINVAL;
    if (call.args[5] & MPOL_MF_MOVE_ALL) return -EPERM;
    return 0;
}

std::int64_t sys_set_mempolicy(SyscallContext& call) {
    const int mode = call.int_arg(0) & ~policy_flags;
    return mode < 0 || mode >= MPOL_MAX ? -EINVAL : 0;
}

std::int64_t sys_get_mempolicy(SyscallContext& call) {
    constexpr std::uint64_t known = MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED;
    const std::uint64_t flags = call.args[4];
    if (flags & ~known) return -EINVAL;
    if ((flags & MPOL_F_MEMS_ALLOWED) && (flags & (MPOL_F_NODE | MPOL_F_ADDR))) return -EINVAL;
    if (!(flags & MPOL_F_ADDR) && call.args[3] != 0) return -EINVAL;
    if (call.args[0] && !call.memory.write(call.args[0], std::int32_t{MPOL_DEFAULT})) return -EFAULT;
    const std::uint64_t nodes = flags & MPOL_F_MEMS_ALLOWED ? 1 : 0;
    if (call.args[1] == 0) return 0;
    const std::uint64_t bits = call.args[2];
    if (bits < 1) return -EINVAL;
    return call.memory.write(call.args[1], nodes) ? 0 : -EFAULT;
}

}  // namespace tinykvm::linux_abi
