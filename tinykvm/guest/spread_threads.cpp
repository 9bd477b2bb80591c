#include "tinykvm/guest/spread_threads.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/guest/exceptions.hpp"
#include "tinykvm/linux/signal_delivery.hpp"
#include "tinykvm/os/thread_time.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

using linux_abi::ParkedThread;
using linux_abi::Wait;
using Reason = kvm::Exit::Reason;

constexpr std::uint64_t trap_flag = 0x100;
// It pays while the vCPUs run for so much longer than what it takes to stop them and to handle what they want. This is
// judged each time so much was spent on the latter; at most so many time slices pass before it is tried again.
constexpr int gain_over_loss = 4;
constexpr auto judged_after = std::chrono::milliseconds(1);
constexpr unsigned longest_put_off = 64;
// A stop that takes longer waits for a processor of the host.
constexpr auto longest_stop = std::chrono::microseconds(500);
// A slice with fewer system calls was used to compute, or to spin until another thread has computed.
constexpr std::uint64_t few_calls = 4;
// How long a thread may be in the code of ours, where it cannot be parked, at first and at last.
constexpr auto first_try = std::chrono::milliseconds(1), last_try = std::chrono::milliseconds(2048);

bool contains(const std::vector<int>& ids, int id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); }

}  // namespace

// --- When

void SpreadThreads::begin_run() {
    usable_ = true;
    stop();
}

void SpreadThreads::end_run() {
    usable_ = false;
    stop();
}

void SpreadThreads::reset() {
    stop();
    slices_to_wait_ = put_off_ = first_put_off;
    handed_over_ = false;
}

void SpreadThreads::stop() {
    active_ = false;
    ran_.clear();
    parts_.slices.let_run_beside(0);
    parts_.further.share_limit();
}

void SpreadThreads::note_end_of_slice() {
    if (!usable_ || active_) return;
    const auto ready = parts_.user.process().others_ready_at(0);
    const std::uint64_t calls = parts_.statistics.system_calls;
    const bool computed = calls - calls_at_slice_ < few_calls && !std::exchange(handed_over_, false);
    calls_at_slice_ = calls;
    if (!ready || *ready > Clock::now()) return;
    if (!computed && --slices_to_wait_ > 0) return;
    active_ = true;
    gained_ = lost_ = {};
    stood_still_at_ = thread_time();
    parts_.slices.let_run_beside(parts_.further.cpus() - 1);
}

void SpreadThreads::judge() {
    const FurtherVcpus::Stint& stint = parts_.further.last_stint();
    gained_ += stint.ran;
    lost_ += std::min<Clock::duration>(stint.stopped, longest_stop);
    if (lost_ < judged_after) return;
    const bool pays = gained_ > gain_over_loss * lost_;
    put_off_ = pays ? first_put_off : std::min(2 * put_off_, longest_put_off);
    slices_to_wait_ = put_off_;
    gained_ = lost_ = {};
    if (pays) return;
    stop();
    parts_.slices.begin_slice();
}

// --- To the vCPUs

bool SpreadThreads::spread() {
    if (!active_ || parts_.further.busy()) return false;
    const Nanoseconds now = thread_time();
    order_parked();
    choose();
    if (chosen_.empty()) return false;
    lost_ += now - stood_still_at_;
    place();
    return true;
}

// The threads that can run and were parked first, so that all have their turn.
void SpreadThreads::choose() {
    chosen_.clear();
    for (ParkedThread& thread : parts_.user.use_process().state().parked) {
        if (chosen_.size() + 1 == parts_.further.cpus()) return;
        if (can_run_beside(thread)) chosen_.push_back(thread.state.id);
    }
}

bool SpreadThreads::can_run_beside(ParkedThread& thread) const {
    Wait& wait = thread.state.wait;
    const Registers& at = thread.registers;
    if (linux_abi::deliverable_set(parts_.user.process().state(), thread.state) != 0) return false;
    if (wait.what == Wait::For::futex && wait.woken && !parts_.options.log_system_calls) {
        thread.registers.rax = 0;  // the wait was a call that ends
        wait = {.returned = true};
    }
    // Of a thread that is stepped through by the program itself the CPU does not say where it was.
    return wait.what == Wait::For::processor && at.rip < x86::user_end && !x86::in_shim(at.rip) &&
           !(at.rflags & trap_flag);
}

// Threads stay on the vCPUs that have their vector registers.
void SpreadThreads::place() {
    FurtherVcpus& further = parts_.further;
    const auto give = [&](bool any) {
        for (const ParkedThread& thread : parts_.user.process().state().parked) {
            const auto chosen = std::find(chosen_.begin(), chosen_.end(), thread.state.id);
            for (unsigned cpu = 1; chosen != chosen_.end() && cpu < further.cpus(); ++cpu) {
                if (further.carried_by(cpu) != 0 || !(any || further.has_vectors_of(cpu, thread))) continue;
                further.carry(cpu, thread);
                chosen_.erase(chosen);
                break;
            }
        }
    };
    give(false);
    give(true);
    further.share_limit();
    parts_.writes.shorten_ring();
}

// --- Back

kvm::Exit SpreadThreads::run() {
    const std::uint64_t before = parts_.statistics.further_cpu_time;
    kvm::Exit exit;
    try {
        exit = parts_.further.run();
        park_all();
    } catch (...) {  // the state does not say where all threads are
        for (unsigned cpu = 1; cpu < parts_.further.cpus(); ++cpu) parts_.further.spoil(cpu);
        throw;
    }
    parts_.user.use_process().add_cpu_time(parts_.statistics.further_cpu_time - before);
    parts_.memory.enforce_limit();
    judge();
    stood_still_at_ = thread_time();
    return exit;
}

void SpreadThreads::park_all() {
    parts_.writes.collect();
    parts_.further.collect();
    ran_.clear();
    for (unsigned cpu = 1; cpu < parts_.further.cpus(); ++cpu) {
        const int id = parts_.further.carried_by(cpu);
        if (id == 0) continue;
        std::vector<ParkedThread>& parked = parts_.user.use_process().state().parked;
        const auto thread =
            std::find_if(parked.begin(), parked.end(), [id](const auto& one) { return one.state.id == id; });
        if (thread == parked.end()) throw MachineError("a thread on a further CPU is not parked");
        ran_.push_back(id);
        park(cpu, *thread);
    }
    order_parked();
}

// Those that ran come after those that waited.
void SpreadThreads::order_parked() {
    std::vector<ParkedThread>& parked = parts_.user.use_process().state().parked;
    std::stable_partition(parked.begin(), parked.end(),
                          [&](const ParkedThread& thread) { return !contains(ran_, thread.state.id); });
}

void SpreadThreads::park(unsigned cpu, ParkedThread& thread) {
    const auto exit = parts_.further.take_exit(cpu);
    park_after(cpu, thread, exit.value_or(kvm::Exit{.reason = Reason::interrupted}));
    const kvm::SystemRegisters system = parts_.further.vcpu(cpu).system_registers();
    thread.pointers = {system.fs.base, system.gs.base};
    thread.registers.rflags = x86::sanitize_flags(thread.registers.rflags);
    parts_.further.put_down(cpu, thread);
}

void SpreadThreads::park_after(unsigned cpu, ParkedThread& thread, const kvm::Exit& exit) {
    const Registers at = parts_.further.vcpu(cpu).registers();
    switch (exit.reason) {
        case Reason::interrupted: return park_where_it_is(cpu, thread);
        case Reason::ring_full: parts_.further.make_ring_room(cpu); return park_where_it_is(cpu, thread);
        case Reason::store: return park_after_store(thread, exit, at);
        case Reason::port:
            if (exit.address == x86::syscall_port) return park_in_call(thread, at);
            if (exit.address >= x86::exception_port && exit.address < x86::exception_port + 32)
                return park_after_exception(cpu, thread, static_cast<unsigned>(exit.address - x86::exception_port));
            throw MachineError("a guest put out to the unknown port " + std::to_string(exit.address));
        case Reason::memory_refused:
            thread.registers = at;
            thread.state.wait = {.what = Wait::For::first_cpu};
            return;
        case Reason::load:
        case Reason::shutdown:
        case Reason::not_emulated:
        case Reason::failed: break;
    }
    const ExceptionSignal meaning = signal_of(exit);
    parts_.user.kill(meaning.signal, meaning.reason, at);
}

// A thread is parked between two instructions of its own. Where it is not, it goes on until it is, or until it leaves
// the guest; an honest one does so within a few instructions.
void SpreadThreads::park_where_it_is(unsigned cpu, ParkedThread& thread) {
    kvm::Vcpu& vcpu = parts_.further.vcpu(cpu);
    for (Clock::duration time = first_try;; time *= 2) {
        const Registers at = vcpu.registers();
        if (!x86::in_shim(at.rip) && x86::in_user_mode(vcpu.system_registers()) && !vcpu.has_pending_exception()) {
            thread.registers = at;
            thread.state.wait = {};
            return;
        }
        if (parts_.interrupted.load()) return parts_.further.spoil(cpu);
        if (time > last_try) parts_.user.kill(SIGKILL, "a thread stays in the code of the host", at);
        parts_.further.run_alone(cpu, time);
        parts_.further.collect();
        const auto exit = parts_.further.take_exit(cpu);
        if (exit && exit->reason != Reason::interrupted && exit->reason != Reason::ring_full)
            return park_after(cpu, thread, *exit);
        if (exit && exit->reason == Reason::ring_full) parts_.further.make_ring_room(cpu);
    }
}

void SpreadThreads::park_after_store(ParkedThread& thread, const kvm::Exit& exit, const Registers& at) {
    const std::uint64_t offset = exit.address - x86::doorbell_physical;
    if (exit.size == sizeof(std::uint32_t) && offset == x86::doorbell_syscall) return park_in_call(thread, at);
    if (exit.size != sizeof(std::uint32_t) || offset != x86::doorbell_host_call)
        parts_.user.kill(SIGSEGV, "store to the doorbell page that is no call", at);
    thread.registers = at;
    if (at.rip != x86::host_call_end()) thread.registers.r11 = at.rip;
    thread.registers.rip = x86::host_call_entry();
    thread.state.wait = {.what = Wait::For::first_cpu};
}

void SpreadThreads::park_in_call(ParkedThread& thread, Registers registers) {
    ++parts_.statistics.system_calls;
    // SYSCALL left the return address in RCX and the flags in R11.
    registers.rip = registers.rcx;
    registers.rflags = registers.r11;
    thread.registers = registers;
    thread.state.wait = {.what = Wait::For::call};
}

void SpreadThreads::park_after_exception(unsigned cpu, ParkedThread& thread, unsigned vector) {
    kvm::Vcpu& vcpu = parts_.further.vcpu(cpu);
    auto [at, error_code, in_user_mode] = taken_exception(parts_.memory.system_block(), vector, cpu, vcpu.registers());
    if (!in_user_mode) parts_.user.kill(SIGSEGV, describe_supervisor_exception(vector), at);
    thread.state.wait = {.what = Wait::For::first_cpu};
    if (vector == 14 &&
        settle_page_fault(parts_.memory, vcpu.system_registers().cr2, error_code) == FurtherPageFault::settled)
        thread.state.wait = {};
    // These come after their instruction, which is INT3 or INT of two bytes, or the one of a byte for a debugger.
    constexpr unsigned char int3 = 0xCC, int1 = 0xF1;
    unsigned char before = 0;
    const bool is_known = parts_.memory.read(at.rip - 1, before);
    if (vector == 3) at.rip -= is_known && before == int3 ? 1 : 2;
    if (vector == 1 && is_known && before == int1) --at.rip;
    thread.registers = at;
}

}  // namespace tinykvm
