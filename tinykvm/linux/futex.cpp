// futex() of a process with one thread: nobody else can wait and nobody else can wake.
#include <linux/futex.h>

#include "tinykvm/linux/call.hpp"
#include "tinykvm/linux/calls.hpp"
#include "tinykvm/linux/clock.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

// Reads the word; EINVAL when it is not aligned.
int read_word(const Call& call, GuestAddr address, std::uint32_t& value) {
    if (address % sizeof value != 0) return EINVAL;
    return call.memory.read(address, value) ? 0 : EFAULT;
}

std::int64_t wait(Call& call, bool absolute, bool realtime) {
    std::optional<Clock::time_point> until;
    if (call.args[3]) {
        int error = 0;
        const auto time = read_timespec(call, call.args[3], error);
        if (!time) return -error;
        until = absolute ? moment_of(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, *time) : after(*time);
    }
    std::uint32_t value = 0;
    if (const int error = read_word(call, call.args[0], value)) return -error;
    if (value != static_cast<std::uint32_t>(call.args[2])) return -EAGAIN;
    if (!until) call.waiter.sleep_for_ever();
    call.waiter.sleep_until(*until);
    return -ETIMEDOUT;
}

// FUTEX_WAKE_OP changes a second word; see futex(2) for the encoding.
std::int64_t change_word(Call& call) {
    const auto operation = static_cast<std::uint32_t>(call.args[5]);
    std::uint32_t unused = 0, old = 0;
    if (const int error = read_word(call, call.args[0], unused)) return -error;
    if (const int error = read_word(call, call.args[4], old)) return -error;
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
    return call.memory.write(call.args[4], value) ? 0 : -EFAULT;
}

}  // namespace

std::int64_t sys_futex(Call& call) {
    const int operation = call.int_arg(1);
    const bool realtime = operation & FUTEX_CLOCK_REALTIME;
    const int command = operation & FUTEX_CMD_MASK;
    if (realtime && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET) return -ENOSYS;
    const bool has_bitset = command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET;
    if (has_bitset && static_cast<std::uint32_t>(call.args[5]) == 0) return -EINVAL;

    std::uint32_t value = 0;
    switch (command) {
        case FUTEX_WAIT: return wait(call, false, realtime);
        case FUTEX_WAIT_BITSET: return wait(call, true, realtime);
        case FUTEX_WAKE:
        case FUTEX_WAKE_BITSET:
            // Not read: libraries wake words whose memory may be gone by now.
            if (call.args[0] % sizeof value != 0) return -EINVAL;
            return call.args[0] < x86::user_end ? 0 : -EFAULT;
        case FUTEX_REQUEUE:
        case FUTEX_CMP_REQUEUE: {
            std::uint32_t second = 0;
            if (static_cast<std::int32_t>(call.args[2]) < 0 || static_cast<std::int32_t>(call.args[3]) < 0)
                return -EINVAL;
            if (const int error = read_word(call, call.args[0], value)) return -error;
            if (const int error = read_word(call, call.args[4], second)) return -error;
            if (command == FUTEX_CMP_REQUEUE && value != static_cast<std::uint32_t>(call.args[5]))
                return -EAGAIN;
            return 0;
        }
        case FUTEX_WAKE_OP: return change_word(call);
    }
    return -ENOSYS;
}

}  // namespace tinykvm::linux_abi
