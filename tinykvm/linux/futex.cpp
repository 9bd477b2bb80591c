// futex(): waiting for a word to change, and waking the threads that wait for it. A word is known by its address in the
// process; what a thread waits for is in its Wait. Locks with priority inheritance are not supported.
#include <linux/futex.h>

#include <algorithm>

#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

// Reads the word. Returns 0, or -EINVAL when it is not aligned, or -EFAULT.
int read_word(const SyscallContext& call, GuestAddr address, std::uint32_t& value) {
    if (address % sizeof value != 0) return -EINVAL;
    return call.memory.read(address, value) ? 0 : -EFAULT;
}

std::int64_t wait(SyscallContext& call, bool absolute, bool realtime, std::uint32_t bitset) {
    if (call.parked_with) {
        if (call.parked_with->woken) return 0;
        if (call.parked_with->is_over(Clock::now())) return -ETIMEDOUT;
        return call.park(*call.parked_with, call.parked_with->until ? -EINTR : restart_call);
    }
    std::optional<Clock::time_point> until;
    if (call.args[3]) {
        TimeSpec time;
        if (const int error = read_timespec(call, call.args[3], time)) return error;
        until = absolute ? moment_of(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, time) : time_from_now(time);
    }
    std::uint32_t value = 0;
    if (const int error = read_word(call, call.args[0], value)) return error;
    if (value != static_cast<std::uint32_t>(call.args[2])) return -EAGAIN;
    const Wait wait{.what = Wait::For::futex, .bitset = bitset, .address = call.args[0], .until = until};
    if (wait.is_over(Clock::now())) return -ETIMEDOUT;
    return call.park(wait, until ? -EINTR : restart_call);
}

// Threads that are not woken wait for another word from now on.
std::int64_t requeue(SyscallContext& call, bool compare) {
    std::uint32_t value = 0, second = 0;
    const auto wakes = static_cast<std::int32_t>(call.args[2]), moves = static_cast<std::int32_t>(call.args[3]);
    if (wakes < 0 || moves < 0) return -EINVAL;
    if (const int error = read_word(call, call.args[0], value)) return error;
    if (const int error = read_word(call, call.args[4], second)) return error;
    if (compare && value != static_cast<std::uint32_t>(call.args[5])) return -EAGAIN;
    const std::int64_t woken = wake_waiters(call.state, call.args[0], wakes);
    std::int64_t moved = 0;
    for (ParkedThread& parked : call.state.parked) {
        Wait& wait = parked.state.wait;
        if (moved == moves) break;
        if (wait.what != Wait::For::futex || wait.woken || wait.address != call.args[0]) continue;
        wait.address = call.args[4];
        ++moved;
    }
    return woken + moved;
}

bool compare_words(std::uint32_t comparison, std::int32_t old, std::int32_t with) {
    switch (comparison) {
        case FUTEX_OP_CMP_EQ: return old == with;
        case FUTEX_OP_CMP_NE: return old != with;
        case FUTEX_OP_CMP_LT: return old < with;
        case FUTEX_OP_CMP_LE: return old <= with;
        case FUTEX_OP_CMP_GT: return old > with;
        default: return old >= with;
    }
}

// FUTEX_WAKE_OP changes a second word, and wakes those that wait for it too if it was as said; see futex(2) for the
// encoding.
std::int64_t change_and_wake(SyscallContext& call) {
    const auto operation = static_cast<std::uint32_t>(call.args[5]);
    std::uint32_t unused = 0, old = 0;
    if (const int error = read_word(call, call.args[0], unused)) return error;
    if (const int error = read_word(call, call.args[4], old)) return error;
    std::uint32_t argument = operation >> 12 & 0xfff;
    if (argument & 0x800) argument |= 0xfffff000;  // sign-extended
    if (operation >> 31 & 1) argument = 1u << (argument & 31);
    std::uint32_t value = 0;
    switch (operation >> 28 & 7) {
        case FUTEX_OP_SET: value = argument; break;
        case FUTEX_OP_ADD: value = old + argument; break;
        case FUTEX_OP_OR: value = old | argument; break;
        case FUTEX_OP_ANDN: value = old & ~argument; break;
        case FUTEX_OP_XOR: value = old ^ argument; break;
        default: return -ENOSYS;
    }
    if ((operation >> 24 & 15) > FUTEX_OP_CMP_GE) return -ENOSYS;
    if (!call.memory.write(call.args[4], value)) return -EFAULT;
    std::int64_t woken = wake_waiters(call.state, call.args[0], static_cast<std::int32_t>(call.args[2]));
    // Twelve bits with a sign.
    const auto with = static_cast<std::int32_t>((operation & 0xfff) << 20) >> 20;
    if (compare_words(operation >> 24 & 15, static_cast<std::int32_t>(old), with))
        woken += wake_waiters(call.state, call.args[4], static_cast<std::int32_t>(call.args[3]));
    return woken;
}

}  // namespace

std::int64_t sys_futex(SyscallContext& call) {
    const int operation = call.int_arg(1);
    const bool realtime = operation & FUTEX_CLOCK_REALTIME;
    const int command = operation & FUTEX_CMD_MASK;
    if (realtime && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET) return -ENOSYS;
    const bool has_bitset = command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET;
    const std::uint32_t bitset = has_bitset ? static_cast<std::uint32_t>(call.args[5]) : ~0u;
    if (bitset == 0) return -EINVAL;

    switch (command) {
        case FUTEX_WAIT: return wait(call, false, realtime, bitset);
        case FUTEX_WAIT_BITSET: return wait(call, true, realtime, bitset);
        case FUTEX_WAKE:
        case FUTEX_WAKE_BITSET:
            // The word is not read, as libraries wake words whose memory may be gone by now.
            if (call.args[0] % sizeof(std::uint32_t) != 0) return -EINVAL;
            if (call.args[0] >= x86::user_end) return -EFAULT;
            // Linux wakes at least one.
            return wake_waiters(call.state, call.args[0], std::max(call.int_arg(2), 1), bitset);
        case FUTEX_REQUEUE: return requeue(call, false);
        case FUTEX_CMP_REQUEUE: return requeue(call, true);
        case FUTEX_WAKE_OP: return change_and_wake(call);
    }
    return -ENOSYS;
}

}  // namespace tinykvm::linux_abi
