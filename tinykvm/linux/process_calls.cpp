// The process and its threads: thread pointers, names, lists for the end of a thread, and waiting for children.
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstring>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

std::int64_t sys_arch_prctl(SyscallContext& call) {
    constexpr int set_gs = 0x1001, set_fs = 0x1002, get_fs = 0x1003, get_gs = 0x1004;
    const std::uint64_t value = call.args[1];
    switch (call.int_arg(0)) {
        case set_fs:
        case set_gs:
            if (value >= x86::user_end) return -EPERM;
            (call.int_arg(0) == set_fs ? call.pointers.fs_base : call.pointers.gs_base) = value;
            return 0;
        case get_fs: return call.memory.write(value, call.pointers.fs_base) ? 0 : -EFAULT;
        case get_gs: return call.memory.write(value, call.pointers.gs_base) ? 0 : -EFAULT;
    }
    return -EINVAL;
}

namespace {

constexpr std::uint64_t default_timer_slack = 50000;

// Those about privileges and processors, which a program here cannot change.
std::int64_t unchanging_prctl(SyscallContext& call) {
    switch (call.int_arg(0)) {
        case PR_GET_SECCOMP:
        case PR_GET_SECUREBITS: return 0;
        case PR_GET_KEEPCAPS: return call.state.thread.keeps_capabilities;
        case PR_SET_KEEPCAPS:
            if (call.args[1] > 1) return -EINVAL;
            call.state.thread.keeps_capabilities = call.args[1] != 0;
            return 0;
        case PR_SET_SECUREBITS: return -EPERM;
        case PR_CAPBSET_DROP: return call.args[1] <= CAP_LAST_CAP ? -EPERM : -EINVAL;
        case PR_CAP_AMBIENT:
            if (call.args[1] == PR_CAP_AMBIENT_CLEAR_ALL) return call.args[2] ? -EINVAL : 0;
            if (call.args[2] > CAP_LAST_CAP || call.args[3] || call.args[4]) return -EINVAL;
            return call.args[1] == PR_CAP_AMBIENT_RAISE                                            ? -EPERM
                   : call.args[1] == PR_CAP_AMBIENT_IS_SET || call.args[1] == PR_CAP_AMBIENT_LOWER ? 0
                                                                                                   : -EINVAL;
        case PR_SET_CHILD_SUBREAPER: return 0;  // there are no children
        case PR_GET_CHILD_SUBREAPER: return call.memory.write(call.args[1], std::int32_t{0}) ? 0 : -EFAULT;
        case PR_GET_TSC: return call.memory.write(call.args[1], std::int32_t{PR_TSC_ENABLE}) ? 0 : -EFAULT;
        case PR_SET_TSC: return call.args[1] == PR_TSC_ENABLE ? 0 : -EINVAL;
        case PR_GET_TIMING: return PR_TIMING_STATISTICAL;
        case PR_SET_TIMING: return call.args[1] == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
        case PR_MCE_KILL_GET: return PR_MCE_KILL_DEFAULT;
        case PR_GET_SPECULATION_CTRL: return call.args[1] <= PR_SPEC_INDIRECT_BRANCH ? PR_SPEC_NOT_AFFECTED : -ENODEV;
        case PR_GET_IO_FLUSHER:
        case PR_SET_IO_FLUSHER:
        case PR_SET_MM: return -EPERM;
    }
    return -EINVAL;
}

}  // namespace

std::int64_t sys_prctl(SyscallContext& call) {
    ProcessState& state = call.state;
    auto& name = state.thread.name;
    switch (call.int_arg(0)) {
        case PR_SET_NAME: {
            // Up to 15 bytes; the string may end right before unmapped memory.
            std::array<char, 16> text{};
            for (std::size_t i = 0; i + 1 < text.size(); ++i) {
                if (!call.memory.read(call.args[1] + i, text[i])) return -EFAULT;
                if (text[i] == 0) break;
            }
            name = text;
            return 0;
        }
        case PR_GET_NAME: return call.memory.write(call.args[1], name) ? 0 : -EFAULT;
        case PR_GET_DUMPABLE: return state.dumpable;
        case PR_SET_DUMPABLE:
            if (call.args[1] > 1) return -EINVAL;
            state.dumpable = call.args[1] != 0;
            return 0;
        case PR_GET_NO_NEW_PRIVS: return state.no_new_privileges;
        case PR_SET_NO_NEW_PRIVS:
            if (call.args[1] != 1 || call.args[2] || call.args[3] || call.args[4]) return -EINVAL;
            state.no_new_privileges = true;
            return 0;
        case PR_CAPBSET_READ: return call.args[1] <= CAP_LAST_CAP ? 0 : -EINVAL;
        case PR_GET_TIMERSLACK: return static_cast<std::int64_t>(state.timer_slack);
        case PR_SET_TIMERSLACK: state.timer_slack = call.args[1] ? call.args[1] : default_timer_slack; return 0;
        case PR_SET_PDEATHSIG:  // the parent never dies
            if (call.args[1] > signal_count) return -EINVAL;
            state.parent_death_signal = call.int_arg(1);
            return 0;
        case PR_GET_PDEATHSIG: return call.memory.write(call.args[1], state.parent_death_signal) ? 0 : -EFAULT;
        case PR_GET_THP_DISABLE: return call.args[1] || call.args[2] ? -EINVAL : state.no_huge_pages;
        case PR_SET_THP_DISABLE:
            if (call.args[2] || call.args[3] || call.args[4]) return -EINVAL;
            state.no_huge_pages = call.args[1] != 0;
            return 0;
    }
    return unchanging_prctl(call);
}

std::int64_t sys_set_tid_address(SyscallContext& call) {
    call.state.thread.clear_child_tid = call.args[0];
    return call.state.thread.id;
}

std::int64_t sys_set_robust_list(SyscallContext& call) {
    constexpr std::uint64_t head_size = 24;
    if (call.args[1] != head_size) return -EINVAL;
    call.state.thread.robust_list = call.args[0];
    return 0;
}

std::int64_t sys_get_robust_list(SyscallContext& call) {
    const int id = call.int_arg(0);
    const ThreadState* thread = id == 0 ? &call.state.thread : find_thread(call.state, id);
    if (!thread) return -ESRCH;
    const std::uint64_t head = thread->robust_list, size = 24;
    return call.memory.write(call.args[1], head) && call.memory.write(call.args[2], size) ? 0 : -EFAULT;
}

std::int64_t sys_wait4(SyscallContext& call) {
    constexpr int known = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
    return call.int_arg(2) & ~known ? -EINVAL : -ECHILD;
}

std::int64_t sys_waitid(SyscallContext& call) {
    const int options = call.int_arg(3);
    constexpr int known = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
    if ((options & ~known) || !(options & (WEXITED | WSTOPPED | WCONTINUED))) return -EINVAL;
    return call.int_arg(0) < 0 || call.int_arg(0) > 3 ? -EINVAL : -ECHILD;
}

// Do two descriptors refer to the same? Everything but files is the same in all threads.
std::int64_t sys_kcmp(SyscallContext& call) {
    const int type = call.int_arg(2);
    if (call.int_arg(0) == 0 || call.int_arg(1) == 0 || !call.is_own(call.int_arg(0)) || !call.is_own(call.int_arg(1)))
        return -ESRCH;
    constexpr int file = 0, last = 7;  // KCMP_FILE, KCMP_EPOLL_TFD; what lies between is the same in all threads
    if (type < 0 || type >= last) return type == last ? -EOPNOTSUPP : -EINVAL;
    if (type != file) return 0;
    if (!call.file(3) || !call.file(4)) return -EBADF;
    if (call.state.files.same_description(call.int_arg(3), call.int_arg(4))) return 0;
    return call.file(3) < call.file(4) ? 1 : 2;
}

std::int64_t sys_quietly_missing(SyscallContext&) { return -ENOSYS; }
std::int64_t sys_not_permitted(SyscallContext&) { return -EPERM; }

}  // namespace tinykvm::linux_abi
