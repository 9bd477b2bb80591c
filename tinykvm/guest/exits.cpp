#include "tinykvm/guest/exits.hpp"

#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/guest/debug_view.hpp"
#include "tinykvm/guest/exceptions.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

using Reason = kvm::Exit::Reason;

constexpr std::uint64_t trap_flag = 0x100;

}  // namespace

void Exits::note(const kvm::Exit& exit) {
    ++statistics_.exits;
    mid_instruction_ = mid_instruction_ || !is_whole(exit);
}

void Exits::require_whole_instruction() const {
    if (mid_instruction_) throw MachineError("the VM stopped in the middle of an instruction and has to be reset");
}

std::optional<Stop> Exits::handle(const kvm::Exit& exit, HostCalls* calls, Deadline deadline) {
    if (interrupted_.load(std::memory_order_relaxed)) end_run(deadline);
    if (further_) attend_further_vcpus();
    writes_.enforce();
    auto stop = dispatch(exit, calls, deadline);
    if (!stop && may_leave_first_cpu()) stop = attend_threads(deadline);
    if (stop) {
        if (further_) further_->abandon();
        statistics_.pages_dirtied = memory_.own_bytes() / page_size;
    } else {
        writes_.shorten_ring();
    }
    return stop;
}

void Exits::end_run(Deadline deadline) const {
    if (Clock::now() < deadline) throw Interrupted("the program was interrupted");
    throw Timeout("the program was still running at the end of its time");
}

void Exits::attend_further_vcpus() {
    if (further_->take_kick()) {
        vcpu_.acknowledge();
        // What else has interrupted the guest must not be acknowledged here.
        if (interrupted_.load() || slices_.has_ended() || look_due_.load()) vcpu_.kick();
    }
    further_->handle_exits();
}

// Lets those threads have the first vCPU that left another one for the host, or for which it has to do something else.
// The running thread stays where it cannot be parked: its slice then ends soon.
std::optional<Stop> Exits::attend_threads(Deadline deadline) {
    while (const auto waits_for = user_.use_process().bring_forward(spread_->is_active())) {
        const Registers before = user_.registers();
        const auto outcome = slices_.switch_thread(deadline);
        if (!outcome) return std::nullopt;
        if (auto stop = stop_after_call(*outcome, user_.registers(), before)) return stop;
        if (waits_for == linux_abi::Wait::For::first_cpu) return std::nullopt;
    }
    return std::nullopt;
}

std::optional<Stop> Exits::dispatch(const kvm::Exit& exit, HostCalls* calls, Deadline deadline) {
    switch (exit.reason) {
        case Reason::store: return doorbell(exit, calls, deadline);
        case Reason::port:
            if (exit.address == x86::syscall_port) return system_call(deadline);
            if (exit.address >= x86::exception_port && exit.address < x86::exception_port + 32)
                return exception(static_cast<unsigned>(exit.address - x86::exception_port), calls, deadline);
            throw MachineError("a guest put out to the unknown port " + std::to_string(exit.address));
        case Reason::memory_refused: {
            if (leave_with_futex(user_.registers())) return std::nullopt;
            const ExceptionSignal meaning = signal_of(exit);
            return fault({.signal = meaning.signal, .code = meaning.code, .address = 0}, user_.registers(),
                         meaning.reason);
        }
        case Reason::interrupted: return end_of_slice(deadline);
        case Reason::ring_full: writes_.make_ring_room(); return std::nullopt;
        case Reason::load:
        case Reason::shutdown:
        case Reason::not_emulated:
        case Reason::failed: break;
    }
    const ExceptionSignal meaning = signal_of(exit);
    user_.kill(meaning.signal, meaning.reason, user_.registers());
}

std::optional<Stop> Exits::doorbell(const kvm::Exit& exit, HostCalls* calls, Deadline deadline) {
    const std::uint64_t offset = exit.address - x86::doorbell_physical;
    if (exit.size == 4) {
        if (offset == x86::doorbell_host_call)
            return host_call(static_cast<std::uint32_t>(exit.value), user_.registers(), calls, deadline);
        if (offset == x86::doorbell_syscall) return system_call(deadline);
    }
    user_.kill(SIGSEGV, "store to the doorbell page that is no call", user_.registers());
}

std::optional<Stop> Exits::host_call(std::uint32_t number, Registers registers, HostCalls* calls, Deadline deadline) {
    if (number == x86::host_call_returned)
        return Stop{.reason = Stop::Reason::returned, .values = {registers.rdi, registers.rsi}};
    ++statistics_.host_calls;
    HostCallResult result = HostCallResult::resume(-ENOSYS);
    if (calls) {
        const HostCall call{number,
                            {registers.rdi, registers.rsi, registers.rdx, registers.rcx, registers.r8, registers.r9},
                            deadline,
                            &interrupted_,
                            further_};
        if (further_) further_->set_caller(registers);
        result = calls->handle(call, memory_);
        if (further_ && result.next == HostCallResult::Next::await && !further_->await(deadline, interrupted_))
            end_run(deadline);
    }
    registers.rax = static_cast<std::uint64_t>(result.value);
    registers.rdx = result.second.value_or(registers.rdx);
    // The thread can be parked where it called, but not in the shim, which would return now.
    const bool goes_on = result.next == HostCallResult::Next::resume || result.next == HostCallResult::Next::await;
    if (goes_on && may_leave_first_cpu() && registers.rip == x86::host_call_end()) registers.rip = registers.r11;
    user_.enter(registers);
    if (result.next == HostCallResult::Next::stop) return Stop{.reason = Stop::Reason::host_call};
    if (result.next == HostCallResult::Next::debug && debugger_) {
        // It stands where it called, not in the shim, which would return now.
        if (registers.rip == x86::host_call_end()) registers.rip = registers.r11;
        (void)ask_debugger(SIGTRAP, registers, debug::Debugger::Event::request);
    }
    return std::nullopt;
}

std::optional<Stop> Exits::system_call(Deadline deadline) {
    ++statistics_.system_calls;
    linux_abi::Process& process = user_.use_process();
    Registers registers = user_.registers();
    const bool at_cpl0 = !user_.in_user_mode();
    const std::uint64_t entry_rip = registers.rip;
    // SYSCALL left the return address in RCX and the flags in R11.
    registers.rip = registers.rcx;
    registers.rflags = registers.r11;
    const Registers before = registers;

    linux_abi::ThreadPointers pointers = user_.thread_pointers();
    const int thread = process.state().thread.id;
    const linux_abi::Outcome outcome = process.system_call(registers, pointers, user_.vectors(), deadline);
    user_.set_thread_pointers(pointers);
    if (process.needs_interruptions()) slices_.others_may_be_ready(process.state().thread.id != thread);
    threads_use_futexes_ |= !in_debugger_ && (before.rax == SYS_futex || before.rax == SYS_sched_yield);
    if (process.has_several_threads()) {
        // Unwinders know the code that makes SYS_rt_sigreturn by its bytes.
        if (call_stubs_ && before.rax != SYS_rt_sigreturn) call_stubs_->lead_around(before.rip);
    }

    Registers same = before;
    same.rax = registers.rax;
    const bool returns = outcome.next == linux_abi::Outcome::Next::resume;
    // A thread that may be parked next has to be in user mode.
    if (at_cpl0 && returns && registers == same && !stepping_ && !may_leave_first_cpu()) {
        registers.rip = entry_rip;  // SYSRET follows there, and takes RCX and R11
        vcpu_.set_registers(registers);
    } else {
        user_.enter(registers);
    }
    if (returns && stepping_) (void)ask_debugger(SIGTRAP, registers, debug::Debugger::Event::signal);
    return returns ? std::nullopt : stop_after_call(outcome, registers, before);
}

std::optional<Stop> Exits::go_on_in_call(Deadline deadline) {
    linux_abi::Process& process = user_.use_process();
    Registers registers = user_.registers();
    const Registers before = registers;
    linux_abi::ThreadPointers pointers = user_.thread_pointers();
    const linux_abi::Outcome outcome = process.go_on(registers, pointers, user_.vectors(), deadline);
    user_.set_thread_pointers(pointers);
    if (process.needs_interruptions()) slices_.others_may_be_ready(true);
    user_.enter(registers);
    writes_.shorten_ring();
    return stop_after_call(outcome, registers, before);
}

// The guest was interrupted: by its deadline, which handle() has seen, or because the running thread had its time or a
// signal of a timer is due.
std::optional<Stop> Exits::end_of_slice(Deadline deadline) {
    if (look_due_.exchange(false)) {
        vcpu_.acknowledge();
        if (interrupted_.load()) vcpu_.kick();  // the end of the run must not be acknowledged here
        look_at_debugger();
    }
    if (!slices_.acknowledge_end() || !user_.process().needs_interruptions()) return std::nullopt;
    if (may_leave_first_cpu() && !in_debugger_) spread_->note_end_of_slice();
    if (look_due_.load()) vcpu_.kick();
    if (stepping_) {  // of which only one thread makes a step
        slices_.put_off_end();
        return std::nullopt;
    }
    const Registers before = user_.registers();
    const auto outcome = slices_.switch_thread(deadline);
    return outcome ? stop_after_call(*outcome, user_.registers(), before) : std::nullopt;
}

std::optional<Stop> Exits::exception(unsigned vector, HostCalls* calls, Deadline deadline) {
    ++statistics_.guest_faults;
    auto [registers, error_code, in_user_mode] = taken_exception(memory_.system_block(), vector, 0, user_.registers());
    if (!in_user_mode) user_.kill(SIGSEGV, describe_supervisor_exception(vector), registers);

    linux_abi::Fault f;
    f.vector = static_cast<std::uint8_t>(vector);
    f.error_code = error_code;
    if (vector == 14 && leave_with_futex(registers)) return std::nullopt;
    if (vector == 14) return page_fault(vcpu_.system_registers().cr2, f.error_code, registers);
    if (vector == 13) {
        // Programs built for the existing ecosystem call the host with OUT imm8, EAX, which is a #GP here.
        unsigned char code[2];
        if (error_code == 0 && memory_.read(registers.rip, code) && code[0] == 0xE7 && code[1] == 0) {
            registers.rip += sizeof code;
            return host_call(static_cast<std::uint32_t>(registers.rax), registers, calls, deadline);
        }
        f.signal = SIGSEGV, f.code = SI_KERNEL;
        return fault(f, registers, "general protection fault");
    }
    const ExceptionSignal meaning = signal_of(vector);
    f.signal = meaning.signal, f.code = meaning.code, f.address = registers.rip;
    return fault(f, registers, meaning.reason);
}

// The shim could not read the word of a futex: the guest leaves with the call, which then fails or finds it.
bool Exits::leave_with_futex(Registers registers) {
    if (registers.rip != x86::futex_word_access()) return false;
    registers.rip = x86::leave_with_futex();
    user_.enter(registers);
    return true;
}

std::optional<Stop> Exits::arrive_at_entry(Registers registers) {
    const EntryStop stop = *std::exchange(entry_stop_, std::nullopt);
    registers.rip = stop.entry;
    user_.enter(registers);
    if (!memory_.write(stop.entry_word, stop.entry)) throw MachineError("the stack is not there any more");
    user_.use_process().state().unused_random = stop.random;
    return Stop{.reason = Stop::Reason::at_entry};
}

std::optional<Stop> Exits::page_fault(GuestAddr address, std::uint32_t error_code, const Registers& registers) {
    if (entry_stop_ && address == x86::entry_stop && registers.rip == x86::entry_stop)
        return arrive_at_entry(registers);
    const Region* region = memory_.regions().find(address);
    if (is_access_allowed(error_code, region)) {
        switch (memory_.files().fault_in(address)) {
            case FileMemory::Fault::none: retry_access(address, registers); return std::nullopt;
            case FileMemory::Fault::mapped: user_.enter(registers); return std::nullopt;
            case FileMemory::Fault::beyond_end:
            case FileMemory::Fault::no_room:
                return fault(
                    {.signal = SIGBUS, .code = BUS_ADRERR, .address = address, .vector = 14, .error_code = error_code},
                    registers, describe_page_fault(address, error_code, region) + ": not in the file");
        }
    }
    return fault({.signal = SIGSEGV,
                  .code = region ? SEGV_ACCERR : SEGV_MAPERR,
                  .address = address,
                  .vector = 14,
                  .error_code = error_code},
                 registers, describe_page_fault(address, error_code, region));
}

void Exits::retry_access(GuestAddr address, const Registers& registers) {
    // The CPU had cached an entry from before a right was added; the fault itself flushed it. If it comes again and
    // again, tables and regions disagree, which is our mistake.
    const bool again = address == spurious_address_ && registers.rip == spurious_rip_;
    spurious_count_ = again ? spurious_count_ + 1 : 0;
    spurious_address_ = address;
    spurious_rip_ = registers.rip;
    if (spurious_count_ > 16) throw MachineError("guest page tables do not agree with its mappings");
    user_.enter(registers);
}

std::optional<Stop> Exits::fault(const linux_abi::Fault& fault, const Registers& at, std::string reason) {
    Registers registers = at;
    const bool debugger_knows = in_debugger_;
    if (debugger_knows && !is_for_program(fault, registers)) return std::nullopt;
    const linux_abi::Outcome outcome = user_.use_process().fault(fault, registers, user_.vectors());
    if (outcome.next == linux_abi::Outcome::Next::resume) {
        user_.enter(registers);
        return std::nullopt;
    }
    registers = at;
    if (debugger_ && !debugger_knows && !ask_debugger(outcome.signal, registers, debug::Debugger::Event::crash))
        return std::nullopt;
    return stop_after(outcome, std::move(reason), at);
}

// --- For a debugger

void Exits::start_debugging() {
    Registers registers = user_.registers();
    (void)ask_debugger(SIGTRAP, registers, debug::Debugger::Event::start);
}

void Exits::end_debugging() {
    if (!in_debugger_) return;
    Registers registers = user_.registers();
    DebugView view(memory_, user_, registers, interrupted_);
    debugger_->let_go(view);
    changed_by_debugger_ |= view.has_changed();
    if (stepping_) {
        registers.rflags &= ~trap_flag;
        user_.enter(registers);
    }
    follow_debugger();
}

bool Exits::is_for_program(const linux_abi::Fault& fault, Registers& registers) {
    if (fault.vector == 1 && x86::in_shim(registers.rip)) {  // a step over SYSCALL leads through the shim
        user_.enter(registers);
        return false;
    }
    // INT3 is an instruction that has been executed; the one in its place has not.
    if (fault.vector == 3 && debugger_->has_breakpoint(registers.rip - 1)) --registers.rip;
    return ask_debugger(fault.signal, registers, debug::Debugger::Event::signal);
}

// False: the program goes on as if there had been no signal.
bool Exits::ask_debugger(int signal, Registers& registers, debug::Debugger::Event event) {
    if (stepping_) registers.rflags &= ~trap_flag;
    time_.suspend(debugger_->deadline());
    DebugView view(memory_, user_, registers, interrupted_);
    const debug::Debugger::Resume resume = debugger_->stopped(view, signal, event);
    changed_by_debugger_ |= view.has_changed();
    follow_debugger();
    if (interrupted_.load()) throw Interrupted("the program was interrupted while a debugger had it");
    if (resume == debug::Debugger::Resume::kill) user_.kill(SIGKILL, "the debugger has ended it", registers);
    stepping_ = resume == debug::Debugger::Resume::step;
    registers.rflags = (registers.rflags & ~trap_flag) | (stepping_ ? trap_flag : 0);
    if (resume == debug::Debugger::Resume::deliver) return true;
    user_.enter(registers);
    return false;
}

// Has to be called when the debugger may have taken the program into its hands, or let it go.
void Exits::follow_debugger() {
    const bool was_in_debugger = std::exchange(in_debugger_, debugger_->is_attached());
    if (!in_debugger_) {
        stepping_ = pause_due_ = false;
        look_.reset();
        if (was_in_debugger) user_.use_process().set_pause_check(nullptr);
        return time_.resume();
    }
    time_.suspend(debugger_->deadline());
    if (was_in_debugger) return;
    call_stubs_.reset();
    threads_use_futexes_ = false;
    if (spread_) spread_->stop();
    user_.use_process().set_pause_check([this] { return debugger_->wants_stop(); });
    look_at_debugger_after(look_time);
}

void Exits::look_at_debugger_after(Clock::duration time) {
    look_.reset();
    look_due_.store(false);
    look_.emplace(vcpu_, look_due_, Clock::now() + time);
}

void Exits::look_at_debugger() {
    if (!in_debugger_) return;
    pause_due_ = pause_due_ || debugger_->wants_stop();
    // The program stops between two instructions of its own, as for another thread (TimeSlices).
    Registers registers = user_.registers();
    const bool can_stop = !x86::in_shim(registers.rip) && user_.in_user_mode() && !vcpu_.has_pending_exception();
    look_at_debugger_after(pause_due_ && !can_stop ? std::chrono::milliseconds(1) : look_time);
    if (can_stop && std::exchange(pause_due_, false))
        (void)ask_debugger(SIGINT, registers, debug::Debugger::Event::pause);
}

// As stop_after(), but lets the debugger have a program that it wants to stop while all threads wait, and one that a
// signal is about to end.
std::optional<Stop> Exits::stop_after_call(linux_abi::Outcome outcome, Registers registers, const Registers& before) {
    while (outcome.next == linux_abi::Outcome::Next::paused) {
        (void)ask_debugger(SIGINT, registers, debug::Debugger::Event::pause);
        linux_abi::ThreadPointers pointers = user_.thread_pointers();
        outcome = user_.use_process().go_on(registers, pointers, user_.vectors(), time_.deadline());
        user_.set_thread_pointers(pointers);
        user_.enter(registers);
        if (outcome.next == linux_abi::Outcome::Next::resume && stepping_)
            (void)ask_debugger(SIGTRAP, registers, debug::Debugger::Event::signal);
    }
    const bool is_killed = outcome.next == linux_abi::Outcome::Next::killed && outcome.signal != SIGKILL;
    if (is_killed && debugger_ && !ask_debugger(outcome.signal, registers, debug::Debugger::Event::crash))
        return std::nullopt;
    return stop_after(outcome, "", before);
}

std::optional<Stop> Exits::stop_after(const linux_abi::Outcome& outcome, std::string reason,
                                      const Registers& at) const {
    switch (outcome.next) {
        case linux_abi::Outcome::Next::resume: return std::nullopt;
        case linux_abi::Outcome::Next::exit:
            return Stop{.reason = Stop::Reason::exited, .exit_status = outcome.exit_status};
        case linux_abi::Outcome::Next::needs_input:
            return Stop{.reason = Stop::Reason::needs_input, .wakes_at = outcome.wakes_at};
        case linux_abi::Outcome::Next::has_output: return Stop{.reason = Stop::Reason::has_output};
        case linux_abi::Outcome::Next::killed: user_.kill(outcome.signal, std::move(reason), at);
        case linux_abi::Outcome::Next::paused: break;  // stop_after_call() has gone on
    }
    throw MachineError("a system call without an outcome");
}

}  // namespace tinykvm
