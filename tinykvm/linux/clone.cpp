// The beginning and the end of threads. A guest cannot have a second process.
#include <linux/futex.h>
#include <linux/sched.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

struct NewThread {
    std::uint64_t flags = 0, stack = 0, tls = 0;
    GuestAddr parent_id = 0, child_id = 0;
};

// What makes a thread of the same process, and what may come with it. CLONE_DETACHED (musl) means nothing.
constexpr std::uint64_t shared = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
constexpr std::uint64_t known = shared | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
                                CLONE_CHILD_SETTID | CLONE_DETACHED;

std::int64_t start_thread(SyscallContext& call, const NewThread& wanted) {
    const std::uint64_t flags = wanted.flags;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND)) return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM)) return -EINVAL;
    if ((flags & shared) != shared || (flags & ~known)) {
        call.log(std::string(call.name) + ": a program cannot start processes, only threads");
        return -ENOSYS;
    }
    if ((flags & CLONE_SETTLS) && wanted.tls >= x86::user_end) return -EPERM;
    ProcessState& state = call.state;
    if (state.parked.size() + 1 >= call.options.max_threads) {
        call.warn(Limit::threads);
        return -EAGAIN;
    }

    ThreadState thread{.id = new_thread_id(state), .blocked = state.thread.blocked, .name = state.thread.name};
    thread.keeps_capabilities = state.thread.keeps_capabilities;
    thread.processors = state.thread.processors;
    thread.wait.returned = true;
    if (flags & CLONE_CHILD_CLEARTID) thread.clear_child_tid = wanted.child_id;
    Registers registers = call.registers;
    registers.rax = 0;
    if (wanted.stack) registers.rsp = wanted.stack;
    ThreadPointers pointers = call.pointers;
    if (flags & CLONE_SETTLS) pointers.fs_base = wanted.tls;
    // As with Linux, it is no error that these cannot be written.
    const std::int32_t id = thread.id;
    if (flags & CLONE_PARENT_SETTID) (void)call.memory.write(wanted.parent_id, id);
    if (flags & CLONE_CHILD_SETTID) (void)call.memory.write(wanted.child_id, id);
    add_thread(state, std::move(thread), {registers, pointers, call.vectors});
    return id;
}

// Tells the next owners of the mutexes that a thread held when it ended. The list is in the guest's memory: it can have
// any length and can be a ring, and each word is checked before it is used.
class RobustList {
  public:
    explicit RobustList(SyscallContext& call) : call_(call), id_(static_cast<std::uint32_t>(call.state.thread.id)) {}

    void give_up(GuestAddr head) {
        struct {
            std::uint64_t next;
            std::int64_t offset;
            std::uint64_t pending;
        } list{};
        if (head == 0 || !call_.memory.read(head, list)) return;
        constexpr int most = 2048;  // as Linux
        GuestAddr entry = list.next & ~std::uint64_t{1};
        for (int i = 0; i < most && entry != head; ++i) {
            std::uint64_t next = 0;
            const bool more = call_.memory.read(entry, next);
            if (entry != list.pending) release(entry + static_cast<std::uint64_t>(list.offset));
            if (!more) break;
            entry = next & ~std::uint64_t{1};
        }
        if (list.pending) release((list.pending & ~std::uint64_t{1}) + static_cast<std::uint64_t>(list.offset));
    }

  private:
    void release(GuestAddr address) {
        std::uint32_t word = 0;
        if (address % sizeof word != 0 || !call_.memory.read(address, word) || (word & FUTEX_TID_MASK) != id_) return;
        if (!call_.memory.write(address, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) return;
        if (word & FUTEX_WAITERS) wake_waiters(call_.state, address, 1);
    }

    SyscallContext& call_;
    std::uint32_t id_;
};

}  // namespace

std::int64_t sys_clone(SyscallContext& call) {
    const std::uint64_t flags = call.args[0] & 0xffffffff & ~std::uint64_t{CSIGNAL};
    return start_thread(call, {flags, call.args[1], call.args[4], call.args[2], call.args[3]});
}

std::int64_t sys_clone3(SyscallContext& call) {
    clone_args wanted{};
    const std::uint64_t size = call.args[1];
    if (size > 4096) return -E2BIG;
    if (size < CLONE_ARGS_SIZE_VER0) return -EINVAL;
    if (!call.memory.read(call.args[0], &wanted, std::min<std::size_t>(size, sizeof wanted))) return -EFAULT;
    for (std::uint64_t at = sizeof wanted; at < size; ++at) {
        char rest = 0;
        if (!call.memory.read(call.args[0] + at, rest)) return -EFAULT;
        if (rest != 0) return -E2BIG;
    }
    constexpr std::uint64_t with_thread = CLONE_THREAD | CLONE_PARENT;
    if ((wanted.flags & (CLONE_DETACHED | CSIGNAL)) || wanted.exit_signal > signal_count) return -EINVAL;
    if (wanted.exit_signal != 0 && (wanted.flags & with_thread)) return -EINVAL;
    if (wanted.set_tid != 0 || wanted.set_tid_size != 0) return -EINVAL;
    if ((wanted.stack == 0) != (wanted.stack_size == 0)) return -EINVAL;
    if (wanted.stack >= x86::user_end || wanted.stack_size > x86::user_end - wanted.stack) return -EINVAL;
    return start_thread(
        call, {wanted.flags, wanted.stack + wanted.stack_size, wanted.tls, wanted.parent_tid, wanted.child_tid});
}

std::int64_t sys_exit_group(SyscallContext& call) {
    call.outcome = {Outcome::Next::exit, call.int_arg(0) & 0xff, 0};
    return 0;
}

// The last thread that ends takes the process with it.
std::int64_t sys_exit(SyscallContext& call) {
    ProcessState& state = call.state;
    if (state.parked.empty()) return sys_exit_group(call);
    RobustList(call).give_up(state.thread.robust_list);
    if (const GuestAddr address = state.thread.clear_child_tid) {
        (void)call.memory.write(address, std::int32_t{0});
        wake_waiters(state, address, 1);
    }
    state.thread = {};
    call.yields = true;
    return 0;
}

}  // namespace tinykvm::linux_abi
