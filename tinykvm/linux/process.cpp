#include "tinykvm/linux/process.hpp"

#include <utility>

#include "tinykvm/linux/call.hpp"
#include "tinykvm/linux/namespace.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/syscall_table.hpp"

namespace tinykvm::linux_abi {

namespace {

void report_missing(const Call& call, const char* name, std::uint64_t number) {
    // Once per process and number: a guest must not be able to flood the log.
    if (!call.options.log || number >= call.state.reported.size() || call.state.reported[number]) return;
    call.state.reported.set(number);
    call.log("system call " + std::to_string(number) + (name ? std::string(" (") + name + ")" : "") +
             " is not supported");
}

}  // namespace

Process::Process(GuestMemory& memory, const Options& options, ProcessState state)
    : memory_(memory), options_(options), state_(std::move(state)) {
    if (!state_.paths) state_.paths = std::make_shared<const Namespace>(options);
}

Outcome Process::system_call(Registers& registers, ThreadPointers& pointers, VectorState& vectors,
                             Deadline deadline) {
    const std::uint64_t number = registers.rax;
    const Waiter waiter(deadline, interrupted_);
    Call call{memory_, state_, options_, registers, pointers, vectors, waiter, cpu_};
    call.args = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};

    const bool traced = options_.log_system_calls && options_.log;
    std::int64_t result = -ENOSYS;
    if (const SystemCall* entry = find_system_call(number)) {
        call.name = entry->name;
        std::string line;
        if (traced) line = describe_call(call, *entry);
        if (!entry->handler) report_missing(call, entry->name, number);
        try {
            if (entry->handler) result = entry->handler(call);
        } catch (...) {
            if (traced) options_.log(line + " = ?");
            throw;
        }
        if (traced) options_.log(line + " = " + describe_result(result));
    } else {
        report_missing(call, nullptr, number);
        if (traced) options_.log("system call " + std::to_string(number) + " = " + describe_result(result));
    }
    if (!call.registers_replaced) registers.rax = static_cast<std::uint64_t>(result);
    if (call.outcome.next == Outcome::Next::resume) call.outcome = deliver_pending(call);
    return call.outcome;
}

Outcome Process::fault(const Fault& fault, Registers& registers, VectorState& vectors) {
    return deliver_fault(memory_, state_, fault, registers, vectors);
}

}  // namespace tinykvm::linux_abi
