#include "tinykvm/linux/signal_delivery.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <vector>

#include "tinykvm/linux/signal_frame.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t default_action = 0, ignore_action = 1;  // SIG_DFL, SIG_IGN
// Signals that the program's own instruction has caused come first, as in Linux.
constexpr SignalSet synchronous = signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) | signal_bit(SIGTRAP) |
                                  signal_bit(SIGFPE) | signal_bit(SIGSYS);
constexpr SignalSet ignored_by_default =
    signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH);

Outcome killed(int signal) { return {Outcome::Next::killed, 0, signal}; }

bool does_nothing(const ProcessState& state, int signal) {
    const std::uint64_t handler = state.actions[static_cast<std::size_t>(signal)].handler;
    return handler == ignore_action || (handler == default_action && (ignored_by_default & signal_bit(signal)));
}

// Starts the handler, or ends the program. Requires that the signal does something.
Outcome act(GuestMemory& memory, ProcessState& state, const PendingSignal& pending, const FaultContext& fault,
            Registers& registers, VectorState& vectors) {
    SignalAction& action = state.actions[static_cast<std::size_t>(pending.signal)];
    // A stopped program would never be continued, so the signals that stop end it too.
    if (action.handler == default_action) return killed(pending.signal);

    const SignalSet saved = state.thread.restore_blocked ? state.thread.saved_blocked : state.thread.blocked;
    if (!push_signal_frame(memory, state, pending, action, saved, fault, registers, vectors)) {
        // No room on the stack. Linux sends SIGSEGV; where that cannot be delivered either, the program ends.
        if (pending.signal == SIGSEGV) return killed(SIGSEGV);
        return deliver_fault(memory, state, {SIGSEGV, SI_KERNEL, 0, 0, 0}, registers, vectors);
    }
    state.thread.restore_blocked = false;
    state.thread.blocked |= action.mask;
    if (!(action.flags & SA_NODEFER)) state.thread.blocked |= signal_bit(pending.signal);
    state.thread.blocked &= ~unblockable;
    if (action.flags & static_cast<std::uint64_t>(SA_RESETHAND)) action.handler = default_action;
    return {};
}

SignalSet set_of(const std::vector<PendingSignal>& queue) {
    SignalSet set = 0;
    for (const PendingSignal& pending : queue) set |= signal_bit(pending.signal);
    return set;
}

bool comes_before(int signal, int other) {
    const bool urgent = synchronous & signal_bit(signal), other_urgent = synchronous & signal_bit(other);
    return urgent != other_urgent ? urgent : signal < other;
}

// The signal of `set` that is to be delivered first; 0 when the set is empty.
int first_of(const std::vector<PendingSignal>& queue, SignalSet set) {
    int first = 0;
    for (const PendingSignal& pending : queue)
        if ((set & signal_bit(pending.signal)) && (first == 0 || comes_before(pending.signal, first)))
            first = pending.signal;
    return first;
}

// Queues a signal. `blocked`: the signals that all threads block which could take it. Returns 0 or -EAGAIN.
int queue_signal(ProcessState& state, std::vector<PendingSignal>& queue, SignalSet blocked, int signal,
                 const SignalInfo& info) {
    if (!(blocked & signal_bit(signal)) && does_nothing(state, signal)) return 0;
    // A signal below 32 waits at most once; the others queue.
    if (signal < 32 && (set_of(queue) & signal_bit(signal))) return 0;
    if (queue.size() >= max_pending_signals) return signal < 32 ? 0 : -EAGAIN;
    queue.push_back({signal, info});
    state.files.note_signal();
    return 0;
}

}  // namespace

SignalSet pending_set(const ProcessState& state, const ThreadState& thread) {
    return set_of(thread.pending) | set_of(state.pending);
}

SignalSet deliverable_set(const ProcessState& state, const ThreadState& thread) {
    SignalSet set = pending_set(state, thread) & ~thread.blocked;
    for (int signal = 1; set != 0 && signal <= signal_count; ++signal)
        if (does_nothing(state, signal)) set &= ~signal_bit(signal);
    return set;
}

PendingSignal take_pending(ProcessState& state, SignalSet set) {
    const int own = first_of(state.thread.pending, set), common = first_of(state.pending, set);
    if (own == 0 && common == 0) return {};
    auto& queue = common == 0 || (own != 0 && !comes_before(common, own)) ? state.thread.pending : state.pending;
    const int signal = &queue == &state.pending ? common : own;
    const auto place = std::find_if(queue.begin(), queue.end(),
                                    [signal](const PendingSignal& pending) { return pending.signal == signal; });
    const PendingSignal taken = *place;
    queue.erase(place);
    return taken;
}

void forget_pending(ProcessState& state, SignalSet set) {
    const auto forget = [set](std::vector<PendingSignal>& queue) {
        std::erase_if(queue, [set](const PendingSignal& pending) { return set & signal_bit(pending.signal); });
    };
    forget(state.pending);
    forget(state.thread.pending);
    for (ParkedThread& parked : state.parked) forget(parked.state.pending);
}

int send_signal(ProcessState& state, int signal, const SignalInfo& info) {
    SignalSet blocked = state.thread.blocked;
    for (const ParkedThread& parked : state.parked) blocked &= parked.state.blocked;
    return queue_signal(state, state.pending, blocked, signal, info);
}

int send_signal(ProcessState& state, ThreadState& thread, int signal, const SignalInfo& info) {
    return queue_signal(state, thread.pending, thread.blocked, signal, info);
}

SignalInfo signal_info_from_self(const ProcessState& state, int signal, int code) {
    SignalInfo info{};
    const std::int32_t fields[] = {signal, 0, code, 0, state.process_id, user_id};
    std::memcpy(info.data(), fields, sizeof fields);
    return info;
}

bool on_alternate_stack(const ProcessState& state, std::uint64_t stack_pointer) {
    const AlternateStack& stack = state.thread.alternate_stack;
    return !stack.disarm_when_entered && stack.contains(stack_pointer);
}

bool return_from_handler(SyscallContext& call) {
    return pop_signal_frame(call.memory, call.state, call.registers, call.vectors);
}

bool restarts_call(const ProcessState& state) {
    const SignalSet set = deliverable_set(state, state.thread);
    const int own = first_of(state.thread.pending, set), common = first_of(state.pending, set);
    const int first = own == 0 || (common != 0 && comes_before(common, own)) ? common : own;
    return first == 0 || (state.actions[static_cast<std::size_t>(first)].flags & SA_RESTART);
}

Outcome deliver_pending(GuestMemory& memory, ProcessState& state, const Processor& on) {
    // Each handler is entered on top of the previous one, as in Linux; the last runs first. This ends, even with
    // SA_NODEFER, because the queues only shrink here.
    while (!state.thread.pending.empty() || !state.pending.empty()) {
        const PendingSignal pending = take_pending(state, ~state.thread.blocked);
        if (pending.signal == 0) break;
        if (does_nothing(state, pending.signal)) continue;
        const Outcome outcome = act(memory, state, pending, {}, on.registers, on.vectors);
        if (outcome.next != Outcome::Next::resume) return outcome;
    }
    state.thread.end_temporary_mask();
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
