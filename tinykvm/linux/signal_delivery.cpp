#include "tinykvm/linux/signal_delivery.hpp"

#include <csignal>
#include <cstring>
#include <vector>

#include "tinykvm/linux/signal_frame.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t default_action = 0, ignore_action = 1;  // SIG_DFL, SIG_IGN
constexpr SignalSet unblockable = signal_bit(SIGKILL) | signal_bit(SIGSTOP);
// What has its cause in the very next instruction comes first, as in Linux.
constexpr SignalSet synchronous = signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) |
                                  signal_bit(SIGTRAP) | signal_bit(SIGFPE) | signal_bit(SIGSYS);
constexpr SignalSet ignored_by_default =
    signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH);

Outcome killed(int signal) { return {Outcome::Next::killed, 0, signal}; }

bool does_nothing(const ProcessState& state, int signal) {
    const std::uint64_t handler = state.actions[static_cast<std::size_t>(signal)].handler;
    return handler == ignore_action ||
           (handler == default_action && (ignored_by_default & signal_bit(signal)));
}

// Starts the handler, or kills. REQUIRES: the signal does something.
Outcome act(GuestMemory& memory, ProcessState& state, const PendingSignal& pending, const FaultContext& fault,
            Registers& registers, VectorState& vectors) {
    SignalAction& action = state.actions[static_cast<std::size_t>(pending.signal)];
    // A stopped program would never be continued, so the signals that stop end it too.
    if (action.handler == default_action) return killed(pending.signal);

    SignalSet saved = state.thread.blocked;
    if (state.thread.restore_blocked) {
        saved = state.thread.saved_blocked;
        state.thread.restore_blocked = false;
    }
    if (!push_signal_frame(memory, state, pending, action, saved, fault, registers, vectors)) {
        // No room on the stack. Linux sends SIGSEGV; where that cannot be delivered either, the program ends.
        if (pending.signal == SIGSEGV) return killed(SIGSEGV);
        return deliver_fault(memory, state, {SIGSEGV, SI_KERNEL, 0, 0, 0}, registers, vectors);
    }
    state.thread.blocked |= action.mask;
    if (!(action.flags & SA_NODEFER)) state.thread.blocked |= signal_bit(pending.signal);
    state.thread.blocked &= ~unblockable;
    if (action.flags & static_cast<std::uint64_t>(SA_RESETHAND)) action.handler = default_action;
    return {};
}

}  // namespace

SignalSet pending_set(const ProcessState& state) {
    SignalSet set = 0;
    for (const PendingSignal& pending : state.thread.pending) set |= signal_bit(pending.signal);
    return set;
}

PendingSignal take_pending(ProcessState& state, SignalSet set) {
    auto& queue = state.thread.pending;
    auto best = queue.end();
    for (auto it = queue.begin(); it != queue.end(); ++it) {
        if (!(set & signal_bit(it->signal))) continue;
        if (best == queue.end()) {
            best = it;
            continue;
        }
        const bool urgent = synchronous & signal_bit(it->signal),
                   best_urgent = synchronous & signal_bit(best->signal);
        if (urgent != best_urgent ? urgent : it->signal < best->signal) best = it;
    }
    if (best == queue.end()) return {};
    const PendingSignal taken = *best;
    queue.erase(best);
    return taken;
}

int send_signal(ProcessState& state, int signal, const SignalInfo& info) {
    const bool blocked = state.thread.blocked & signal_bit(signal);
    if (!blocked && does_nothing(state, signal)) return 0;
    // A signal below 32 waits at most once; the others queue.
    if (signal < 32 && (pending_set(state) & signal_bit(signal))) return 0;
    if (state.thread.pending.size() >= max_pending_signals) return signal < 32 ? 0 : EAGAIN;
    state.thread.pending.push_back({signal, info});
    return 0;
}

SignalInfo signal_info_from_self(int signal, int code) {
    SignalInfo info{};
    const std::int32_t fields[] = {signal, 0, code, 0, process_id, user_id};
    std::memcpy(info.data(), fields, sizeof fields);
    return info;
}

bool on_alternate_stack(const ProcessState& state, std::uint64_t stack_pointer) {
    const AlternateStack& stack = state.thread.alternate_stack;
    return !stack.disarm_when_entered && stack.contains(stack_pointer);
}

bool return_from_handler(Call& call) {
    return pop_signal_frame(call.memory, call.state, call.registers, call.vectors);
}

Outcome deliver_pending(Call& call) {
    ProcessState& state = call.state;
    // Each handler is entered on top of the previous one, as in Linux; the last runs first. Handlers add to
    // the mask, so this ends; SA_NODEFER cannot prolong it as the queue only shrinks here.
    while (!state.thread.pending.empty()) {
        const PendingSignal pending = take_pending(state, ~state.thread.blocked);
        if (pending.signal == 0) break;
        if (does_nothing(state, pending.signal)) continue;
        const Outcome outcome = act(call.memory, state, pending, {}, call.registers, call.vectors);
        if (outcome.next != Outcome::Next::resume) return outcome;
    }
    if (state.thread.restore_blocked) {
        state.thread.blocked = state.thread.saved_blocked;
        state.thread.restore_blocked = false;
    }
    return {};
}

Outcome deliver_fault(GuestMemory& memory, ProcessState& state, const Fault& fault, Registers& registers,
                      VectorState& vectors) {
    if (fault.signal < 1 || fault.signal > signal_count) return killed(SIGSEGV);
    const SignalAction& action = state.actions[static_cast<std::size_t>(fault.signal)];
    if (action.handler == default_action || action.handler == ignore_action ||
        (state.thread.blocked & signal_bit(fault.signal)))
        return killed(fault.signal);

    PendingSignal pending{fault.signal, {}};
    const std::int32_t head[] = {fault.signal, 0, fault.code, 0};
    std::memcpy(pending.info.data(), head, sizeof head);
    std::memcpy(pending.info.data() + sizeof head, &fault.address, sizeof fault.address);
    return act(memory, state, pending, {fault.vector, fault.error_code, fault.address}, registers, vectors);
}

}  // namespace tinykvm::linux_abi
