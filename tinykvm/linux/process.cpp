#include "tinykvm/linux/process.hpp"

#include <array>
#include <utility>

#include "tinykvm/client.hpp"
#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/refused_paths.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/linux/start.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_table.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr std::uint64_t syscall_size = 2;  // bytes of the instruction

void report_missing(const SyscallContext& call, const char* name, std::uint64_t number) {
    // Each number is reported once per process, so that a guest cannot flood the log.
    if (!call.options.log || number >= call.state.reported.size() || call.state.reported[number]) return;
    call.state.reported.set(number);
    call.log("system call " + std::to_string(number) + (name ? std::string(" (") + name + ")" : "") +
             " is not supported");
}

// Files are closed in many ways, which all end here.
void tell_client(SyscallContext& call) {
    const std::uint64_t ended = call.state.files.take_ended_connection();
    Client* client = ended != 0 ? call.options.client() : nullptr;
    if (!client || client->connection() != ended) return;
    client->end_output();
    call.gives_client_its_turn = client->wants_turn();
}

void report_refusal(SyscallContext& call) {
    if (call.memory.files().take_refusal()) call.warn(Limit::memory);
    switch (call.memory.take_refusal()) {
        case GuestMemory::Refusal::none: break;
        case GuestMemory::Refusal::address_space: call.warn(Limit::address_space); break;
        case GuestMemory::Refusal::mappings: call.warn(Limit::mappings); break;
    }
}

}  // namespace

Process::Process(GuestMemory& memory, const Options& options, ProcessState state)
    : memory_(memory), options_(options), state_(std::move(state)) {
    if (!state_.file_system) {
        state_.file_system = std::make_shared<const GuestFileSystem>(options);
        state_.memory_tree.change() = MemoryTree(state_.file_system->memory_mounts().size());
    }
    if (!state_.refused_paths) state_.refused_paths = std::make_shared<RefusedPaths>();
}

Outcome Process::system_call(Registers& registers, ThreadPointers& pointers, VectorState& vectors, Deadline deadline) {
    const Processor on{registers, pointers, vectors};
    const Waiter waiter(deadline, interrupted_);
    Outcome outcome;
    return make_call(on, waiter, nullptr, outcome) == CallProgress::returned ? outcome : schedule(on, waiter);
}

void Process::begin_fork() {
    state_.process_id = new_process_id(state_);
    state_.thaw_timers();
    if (const GuestAddr random = std::exchange(state_.unused_random, 0)) {
        std::array<std::byte, random_size> bytes;
        fill_random(bytes);
        (void)memory_.write(random, bytes);  // a program that has unmapped its stack has no use for them
    }
}

Process::CallProgress Process::make_call(const Processor& on, const Waiter& waiter, const Wait* again,
                                         Outcome& outcome) {
    Registers& registers = on.registers;
    const std::uint64_t number = registers.rax;
    if (state_.process_id == 0) begin_fork();
    if (state_.has_timers()) expire_timers(state_, cpu_);
    SyscallContext call{memory_, state_, options_, registers, on.pointers, on.vectors, waiter, cpu_};
    call.parked_with = again;
    call.args = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};

    const bool traced = options_.log_system_calls && options_.log;
    std::int64_t result = -ENOSYS;
    if (const SystemCall* entry = find_system_call(number)) {
        call.name = entry->name;
        std::optional<CallTrace> trace;
        if (traced) trace.emplace(call, *entry);
        if (!entry->handler) report_missing(call, entry->name, number);
        try {
            if (entry->handler) result = entry->handler(call);
            if (state_.files.any_closed() || call.unmapped_files) (void)release_unused_files(call);
            report_refusal(call);
            // A program that has lowered its limit itself meets its own.
            if (result == -EMFILE && state_.files.limit() >= options_.max_open_files) call.warn(Limit::open_files);
        } catch (...) {
            if (trace) options_.log(trace->line(std::nullopt));
            throw;
        }
        const bool returns = call.outcome.next == Outcome::Next::resume;
        if (trace && !call.parked) options_.log(trace->line(returns ? std::optional(result) : std::nullopt));
        if (trace && call.parked && !again) options_.log(trace->unfinished());
    } else {
        report_missing(call, nullptr, number);
        if (traced) options_.log("system call " + std::to_string(number) + " = " + describe_result(result));
    }
    if (options_.client) tell_client(call);
    if (call.parked) return CallProgress::waiting;
    outcome = call.outcome;
    if (outcome.next != Outcome::Next::resume) return CallProgress::returned;
    if (result == restart_call) {
        if (restarts_call(state_)) {
            registers.rip -= syscall_size;
            result = static_cast<std::int64_t>(number);
        } else {
            result = -EINTR;
        }
    }
    if (!call.registers_replaced) registers.rax = static_cast<std::uint64_t>(result);
    if (call.yields) return CallProgress::waiting;
    outcome = deliver_pending(memory_, state_, on);
    if (call.gives_client_its_turn && outcome.next == Outcome::Next::resume) outcome.next = Outcome::Next::has_output;
    return CallProgress::returned;
}

Outcome Process::fault(const Fault& fault, Registers& registers, VectorState& vectors) {
    return deliver_fault(memory_, state_, fault, registers, vectors);
}

}  // namespace tinykvm::linux_abi
