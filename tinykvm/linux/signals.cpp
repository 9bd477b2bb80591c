// System calls about signals. Only the process itself can send signals to its threads.
#include <csignal>
#include <cstring>

#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

bool is_signal(int signal) { return signal >= 1 && signal <= signal_count; }

// Ends the program the way only SIGKILL can: at once, whatever is blocked.
std::int64_t kill_self(SyscallContext& call) {
    call.outcome = {Outcome::Next::killed, 0, SIGKILL};
    return 0;
}

// Sends a signal to the process, or to one thread of it.
std::int64_t send(SyscallContext& call, ThreadState* thread, int signal, const SignalInfo& info) {
    if (signal == 0) return 0;
    if (signal == SIGKILL) return kill_self(call);
    return thread ? send_signal(call.state, *thread, signal, info) : send_signal(call.state, signal, info);
}

// Waits for a signal with another mask.
std::int64_t suspend(SyscallContext& call, SignalSet mask) {
    if (!call.parked_with) call.state.thread.begin_temporary_mask(mask);
    return call.park({.what = Wait::For::signal}, -EINTR);
}

std::int64_t queue_info(SyscallContext& call, ThreadState* thread, int signal, GuestAddr address) {
    SignalInfo info;
    if (!call.memory.read(address, info)) return -EFAULT;
    if (signal != 0 && !is_signal(signal)) return -EINVAL;
    // Linux sets the number of the signal itself; the rest stays as the program wrote it.
    const std::int32_t number = signal;
    std::memcpy(info.data(), &number, sizeof number);
    return send(call, thread, signal, info);
}

}  // namespace

std::int64_t sys_rt_sigaction(SyscallContext& call) {
    const int signal = call.int_arg(0);
    if (call.args[3] != sizeof(SignalSet)) return -EINVAL;
    SignalAction wanted;
    if (call.args[1] && !call.memory.read(call.args[1], wanted)) return -EFAULT;
    if (!is_signal(signal) || (call.args[1] && (unblockable & signal_bit(signal)))) return -EINVAL;

    SignalAction& action = call.state.actions[static_cast<std::size_t>(signal)];
    const SignalAction before = action;
    if (call.args[1]) {
        wanted.mask &= ~unblockable;
        action = wanted;
        if (wanted.handler == 1) forget_pending(call.state, signal_bit(signal));  // SIG_IGN also forgets
    }
    if (call.args[2] && !call.memory.write(call.args[2], before)) return -EFAULT;
    return 0;
}

std::int64_t sys_rt_sigprocmask(SyscallContext& call) {
    if (call.args[3] != sizeof(SignalSet)) return -EINVAL;
    SignalSet& blocked = call.state.thread.blocked;
    const SignalSet before = blocked;
    if (call.args[1]) {
        SignalSet set = 0;
        if (!call.memory.read(call.args[1], set)) return -EFAULT;
        switch (call.int_arg(0)) {
            case SIG_BLOCK: blocked |= set; break;
            case SIG_UNBLOCK: blocked &= ~set; break;
            case SIG_SETMASK: blocked = set; break;
            default: return -EINVAL;
        }
        blocked &= ~unblockable;
    }
    if (call.args[2] && !call.memory.write(call.args[2], before)) return -EFAULT;
    return 0;
}

std::int64_t sys_rt_sigreturn(SyscallContext& call) {
    call.registers_replaced = true;
    if (return_from_handler(call)) return 0;
    call.outcome = deliver_fault(call.memory, call.state, {SIGSEGV, SI_KERNEL, 0, 0, 0}, call.registers, call.vectors);
    return 0;
}

std::int64_t sys_rt_sigpending(SyscallContext& call) {
    if (call.args[1] > sizeof(SignalSet)) return -EINVAL;
    const SignalSet set = pending_set(call.state, call.state.thread) & call.state.thread.blocked;
    return call.memory.write(call.args[0], &set, call.args[1]) ? 0 : -EFAULT;
}

std::int64_t sys_rt_sigsuspend(SyscallContext& call) {
    SignalSet mask = 0;
    if (call.args[1] != sizeof mask) return -EINVAL;
    if (!call.memory.read(call.args[0], mask)) return -EFAULT;
    return suspend(call, mask & ~unblockable);
}

std::int64_t sys_pause(SyscallContext& call) { return suspend(call, call.state.thread.blocked); }

std::int64_t sys_rt_sigtimedwait(SyscallContext& call) {
    SignalSet set = 0;
    if (call.args[3] != sizeof set) return -EINVAL;
    if (!call.memory.read(call.args[0], set)) return -EFAULT;
    std::optional<Clock::time_point> first;
    if (call.args[2]) {
        TimeSpec time;
        if (const int error = read_timespec(call, call.args[2], time)) return error;
        first = time_from_now(time);
    }
    const PendingSignal taken = take_pending(call.state, set & ~unblockable);
    if (taken.signal != 0) {
        if (call.args[1] && !call.memory.write(call.args[1], taken.info)) return -EFAULT;
        return taken.signal;
    }
    const auto until = call.end_of_wait(first);
    const Wait wait{.what = Wait::For::signal, .signals = set & ~unblockable, .until = until};
    return wait.is_over(Clock::now()) ? -EAGAIN : call.park(wait, -EINTR);
}

std::int64_t sys_rt_sigqueueinfo(SyscallContext& call) {
    // As with Linux, the thread of that id may stand for its process.
    if (call.int_arg(0) == 0 || !call.is_own(call.int_arg(0))) return -ESRCH;
    return queue_info(call, nullptr, call.int_arg(1), call.args[2]);
}

std::int64_t sys_rt_tgsigqueueinfo(SyscallContext& call) {
    if (call.int_arg(0) <= 0 || call.int_arg(1) <= 0) return -EINVAL;
    ThreadState* thread = find_thread(call.state, call.int_arg(1));
    if (!call.state.is_process(call.int_arg(0)) || !thread) return -ESRCH;
    return queue_info(call, thread, call.int_arg(2), call.args[3]);
}

std::int64_t sys_sigaltstack(SyscallContext& call) {
    struct {
        std::uint64_t begin;
        std::int32_t flags, padding;
        std::uint64_t size;
    } wanted{}, before{};
    constexpr std::int32_t auto_disarm = static_cast<std::int32_t>(0x80000000u);
    constexpr std::uint64_t least = 2048;  // MINSIGSTKSZ

    AlternateStack& stack = call.state.thread.alternate_stack;
    const bool active = on_alternate_stack(call.state, call.registers.rsp);
    before.begin = stack.begin;
    before.size = stack.size;
    before.flags = (stack.size == 0 ? SS_DISABLE
                    : active        ? SS_ONSTACK
                                    : 0) |
                   (stack.disarm_when_entered ? auto_disarm : 0);
    if (call.args[0]) {
        if (!call.memory.read(call.args[0], wanted)) return -EFAULT;
        if (active) return -EPERM;
        const std::int32_t mode = wanted.flags & ~auto_disarm;
        if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE) return -EINVAL;
        if (mode == SS_DISABLE) {
            stack = {};
        } else {
            if (wanted.size < least) return -ENOMEM;
            if (wanted.begin >= x86::user_end || wanted.size > x86::user_end - wanted.begin) return -ENOMEM;
            stack = {wanted.begin, wanted.size, (wanted.flags & auto_disarm) != 0};
        }
    }
    if (call.args[1] && !call.memory.write(call.args[1], before)) return -EFAULT;
    return 0;
}

std::int64_t sys_kill(SyscallContext& call) {
    const int target = call.int_arg(0), signal = call.int_arg(1);
    if (signal != 0 && !is_signal(signal)) return -EINVAL;
    // The process can name itself by its id or as its process group. -1 means all others, and there are none.
    if (target == -1) return -ESRCH;
    if (target == parent_id) return -EPERM;  // it is another user's
    if (!call.is_own(target) && target != -first_process_id) return -ESRCH;
    return send(call, nullptr, signal, signal_info_from_self(call.state, signal, SI_USER));
}

std::int64_t sys_tkill(SyscallContext& call) {
    const int target = call.int_arg(0), signal = call.int_arg(1);
    if (target <= 0 || (signal != 0 && !is_signal(signal))) return -EINVAL;
    ThreadState* thread = find_thread(call.state, target);
    if (!thread) return -ESRCH;
    return send(call, thread, signal, signal_info_from_self(call.state, signal, SI_TKILL));
}

std::int64_t sys_tgkill(SyscallContext& call) {
    const int group = call.int_arg(0), target = call.int_arg(1), signal = call.int_arg(2);
    if (group <= 0 || target <= 0 || (signal != 0 && !is_signal(signal))) return -EINVAL;
    ThreadState* thread = find_thread(call.state, target);
    if (!call.state.is_process(group) || !thread) return -ESRCH;
    return send(call, thread, signal, signal_info_from_self(call.state, signal, SI_TKILL));
}

}  // namespace tinykvm::linux_abi
