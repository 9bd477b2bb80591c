#include "tinykvm/guest/further_vcpus.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>

#include "tinykvm/errors.hpp"
#include "tinykvm/guest/exceptions.hpp"
#include "tinykvm/linux/syscall_table.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

using Reason = kvm::Exit::Reason;

// How often one that waits looks whether its run was interrupted.
constexpr auto look = std::chrono::milliseconds(100);
// How much of the caller's stack a CPU gets that goes on where the caller does.
constexpr std::size_t most_copied_stack = std::size_t{64} << 10;

// The end of the work: the function has returned to the shim.
bool is_end(const kvm::Exit& exit) {
    return exit.reason == Reason::store && exit.size == sizeof(std::uint32_t) &&
           exit.address == x86::doorbell_physical + x86::doorbell_host_call && exit.value == x86::host_call_returned;
}

std::string describe_system_call(std::uint64_t number) {
    const linux_abi::SystemCall* call = linux_abi::find_system_call(number);
    return "the system call " + (call ? std::string(call->name) : std::to_string(number));
}

}  // namespace

struct FurtherVcpus::FurtherVcpu {
    FurtherVcpu(const Parts& parts, unsigned cpu, CpuThread::Left left)
        : number(cpu),
          thread(parts.vm, parts.platform.cpuid(), cpu, std::move(left)),
          writes(thread.vcpu(), parts.memory) {}

    unsigned number;
    CpuThread thread;
    WriteLimit writes;
    bool has_work = false;                                    // or a thread
    int carried = 0;                                          // the id of that thread
    std::shared_ptr<const std::vector<std::byte>> vectors{};  // what the vCPU has of a thread that it carried
    bool orderly = true;                                      // KVM has nothing of the last exit to complete
    bool mid_instruction = false;                             // see Exits
};

// While it exists, those that have work run, or only one of them.
class FurtherVcpus::Running {
  public:
    explicit Running(FurtherVcpus& all, const FurtherVcpu* only = nullptr) : all_(all), only_(only) {
        {
            const MutexLock lock(all_.mutex_);
            all_.running_ = only ? 1 : all_.working_;
            all_.wants_host_ = false;
        }
        for (const auto& vcpu : all_.vcpus_) {
            if (!runs(*vcpu)) continue;
            vcpu->orderly = false;
            vcpu->thread.enter();
        }
    }
    ~Running() {
        for (const auto& vcpu : all_.vcpus_)
            if (runs(*vcpu)) vcpu->thread.ask_to_halt();
        for (const auto& vcpu : all_.vcpus_) {
            if (!runs(*vcpu)) continue;
            vcpu->thread.halt();
            all_.parts_.statistics.further_cpu_time += static_cast<std::uint64_t>(vcpu->thread.take_time().count());
        }
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

  private:
    bool runs(const FurtherVcpu& vcpu) const { return vcpu.has_work && (!only_ || only_ == &vcpu); }

    FurtherVcpus& all_;
    const FurtherVcpu* const only_;
};

FurtherVcpus::FurtherVcpus(const Parts& parts, unsigned cpus) : parts_(parts) {
    for (unsigned cpu = 1; cpu < cpus; ++cpu) {
        vcpus_.push_back(std::make_unique<FurtherVcpu>(parts, cpu, [this, cpu](const kvm::Exit& exit, bool by_itself) {
            note_left(exit, carried_by(cpu) != 0, by_itself);
        }));
        FurtherVcpu& vcpu = *vcpus_.back();
        vcpu.thread.vcpu().follow_host_tsc();
        parts.platform.prepare(vcpu.thread.vcpu(), parts.memory.page_table_root());
        vcpu.writes.share_with(2);  // as few as run at a time; now, so that no request has to wait for it
        vcpu.writes.shorten_ring();
    }
}

FurtherVcpus::~FurtherVcpus() { vcpus_.clear(); }  // their threads end before what they use

// --- Work

bool FurtherVcpus::call(unsigned cpu, GuestAddr function, std::span<const std::uint64_t> arguments) {
    if (function < x86::user_begin || function >= x86::user_end) return false;
    Registers registers;
    std::uint64_t* const slots[] = {&registers.rdi, &registers.rsi, &registers.rdx};
    for (std::size_t i = 0; i < std::min(arguments.size(), std::size(slots)); ++i) *slots[i] = arguments[i];
    registers.rip = function;
    registers.rsp = x86::cpu_stack_top(cpu) - 64 - sizeof(std::uint64_t);
    if (!parts_.memory.write(registers.rsp, x86::cpu_return_entry())) return false;
    begin(*vcpus_.at(cpu - 1), registers);
    return true;
}

bool FurtherVcpus::go_on(unsigned cpu, GuestAddr stack, std::size_t size) {
    const GuestAddr top = (stack + size) & ~GuestAddr{63};
    if (top < stack) return false;
    // As much of the caller's stack as there is and fits, so that what the compiler has put there is there, too.
    const Region* region = parts_.memory.regions().find(caller_.rsp);
    const std::size_t there = region ? region->end - caller_.rsp : 0;
    const std::size_t copied = std::min({there, size / 2, most_copied_stack}) & ~std::size_t{63};
    // The new stack pointer has the caller's alignment.
    const GuestAddr begin_at = top - copied - 64 + caller_.rsp % 64;
    const auto frames = parts_.memory.read_bytes(caller_.rsp, copied);
    if (!frames || begin_at < stack || !parts_.memory.write(begin_at, frames->data(), copied)) return false;
    Registers registers = caller_;
    registers.rax = cpu;
    registers.rsp = begin_at;
    if (registers.rbp - caller_.rsp < copied) registers.rbp += begin_at - caller_.rsp;
    begin(*vcpus_.at(cpu - 1), registers);
    return true;
}

// All registers are set, whatever the vCPU did before; the vector registers and those of the thread are the caller's.
void FurtherVcpus::begin(FurtherVcpu& vcpu, const Registers& registers) {
    set_registers(vcpu, parts_.first.system_registers(), registers);
    vcpu.vectors = nullptr;
    if (!vcpu.thread.vcpu().set_vector_state(parts_.first.vector_state()))
        throw MachineError("KVM refuses the vector registers it gave");
    vcpu.has_work = true;
    ++working_;
    share_limit();
}

void FurtherVcpus::set_registers(FurtherVcpu& vcpu, const kvm::SystemRegisters& system, const Registers& registers) {
    kvm::SystemRegisters own = system;
    x86::use_exception_stack(own, vcpu.number);
    own.cr2 = 0;
    vcpu.thread.vcpu().set_system_registers(own);
    enter_user_mode(vcpu.thread.vcpu(), registers);
}

void FurtherVcpus::end(FurtherVcpu& vcpu) {
    vcpu.has_work = false;
    --working_;
    if (vcpu.carried == 0) return share_limit();
    vcpu.carried = 0;
    --carrying_;
}

void FurtherVcpus::share_limit() {
    parts_.writes.share_with(working_ + 1);
    for (const auto& vcpu : vcpus_) {
        if (!vcpu->has_work) continue;
        vcpu->writes.share_with(working_ + 1);
        vcpu->writes.shorten_ring();
    }
}

void FurtherVcpus::abandon() {
    for (const auto& vcpu : vcpus_) {
        if (!vcpu->has_work) continue;
        try {
            if (const auto exit = vcpu->thread.take_exit()) vcpu->mid_instruction |= !is_whole(*exit);
        } catch (const MachineError&) {  // of work that nobody wants any more; only a new VM is certain to run
            vcpu->mid_instruction = true;
        }
        end(*vcpu);
    }
    kicked_.store(false);
}

// --- Running

// On the thread of a vCPU.
void FurtherVcpus::note_left(const kvm::Exit& exit, bool carries, bool by_itself) {
    const bool wants_host = by_itself && (carries || !is_end(exit));
    {
        const MutexLock lock(mutex_);
        --running_;
        wants_host_ |= wants_host;
    }
    left_.notify_one();
    if (wants_host && first_runs_.load()) {
        kicked_.store(true);
        parts_.first.kick();
    }
}

kvm::Exit FurtherVcpus::run() {
    if (working_ == 0) return parts_.first.run();
    first_runs_.store(true);
    struct Left {
        std::atomic<bool>& runs;
        ~Left() { runs.store(false); }
    } const left{first_runs_};
    const auto began = Clock::now();
    auto ended = began;
    kvm::Exit exit;
    {
        const Running others(*this);
        exit = parts_.first.run();
        ended = Clock::now();
    }
    stint_ = {ended - began, Clock::now() - ended};
    return exit;
}

bool FurtherVcpus::await(Deadline deadline, const std::atomic<bool>& interrupted) {
    while (working_ > 0) {
        {
            const Running others(*this);
            const MutexLock lock(mutex_);
            while (running_ > 0 && !wants_host_ && !interrupted.load() && Clock::now() < deadline)
                (void)left_.wait_until(mutex_, std::min(deadline, Clock::now() + look));
        }
        if (interrupted.load() || Clock::now() >= deadline) return false;
        handle_exits();
        parts_.writes.enforce();
    }
    return true;
}

void FurtherVcpus::handle_exits() {
    if (!busy()) return;
    collect();
    parts_.memory.enforce_limit();
    for (const auto& vcpu : vcpus_) {
        if (!vcpu->has_work) continue;
        const auto exit = vcpu->thread.take_exit();
        if (exit && exit->reason != Reason::interrupted) handle(*vcpu, *exit);
        if (vcpu->has_work) vcpu->writes.shorten_ring();
    }
}

void FurtherVcpus::handle(FurtherVcpu& vcpu, const kvm::Exit& exit) {
    ++parts_.statistics.exits;
    vcpu.mid_instruction |= !is_whole(exit);
    if (is_end(exit)) {
        vcpu.orderly = true;
        return end(vcpu);
    }
    Registers at = vcpu.thread.vcpu().registers();
    const auto fail_with = [&](int signal, const std::string& reason) { fail(vcpu, signal, reason, at); };
    const auto fail_in_system_call = [&] {
        at.rip = at.rcx;  // SYSCALL left the address to return to there
        fail_with(SIGSYS, describe_system_call(at.rax) + ", which only the first CPU of a program can make");
    };
    switch (exit.reason) {
        case Reason::ring_full: vcpu.writes.make_ring_room(); return;
        case Reason::port:
            if (exit.address == x86::syscall_port) fail_in_system_call();
            if (exit.address >= x86::exception_port && exit.address < x86::exception_port + 32)
                return exception(vcpu, static_cast<unsigned>(exit.address - x86::exception_port));
            throw MachineError("a guest put out to the unknown port " + std::to_string(exit.address));
        case Reason::store:
            if (exit.address == x86::doorbell_physical + x86::doorbell_syscall) fail_in_system_call();
            fail_with(SIGSYS, "a call of the host, which only the first CPU of a program can make");
            return;
        case Reason::load:
        case Reason::memory_refused:
        case Reason::shutdown:
        case Reason::not_emulated:
        case Reason::interrupted:
        case Reason::failed: break;
    }
    const ExceptionSignal meaning = signal_of(exit);
    fail_with(meaning.signal, meaning.reason);
}

void FurtherVcpus::exception(FurtherVcpu& vcpu, unsigned vector) {
    ++parts_.statistics.guest_faults;
    const auto [at, error_code, in_user_mode] =
        taken_exception(parts_.memory.system_block(), vector, vcpu.number, vcpu.thread.vcpu().registers());
    if (!in_user_mode) fail(vcpu, SIGSEGV, describe_supervisor_exception(vector), at);
    if (vector == 14) {
        const GuestAddr address = vcpu.thread.vcpu().system_registers().cr2;
        const FurtherPageFault outcome = settle_page_fault(parts_.memory, address, error_code);
        if (outcome == FurtherPageFault::settled) return enter_user_mode(vcpu.thread.vcpu(), at);
        const std::string reason = describe_page_fault(address, error_code, parts_.memory.regions().find(address));
        if (outcome == FurtherPageFault::not_in_file) fail(vcpu, SIGBUS, reason + ": not in the file", at);
        fail(vcpu, SIGSEGV, reason, at);
    }
    if (vector == 13) {
        unsigned char code[2];
        const bool is_call = error_code == 0 && parts_.memory.read(at.rip, code) && code[0] == 0xE7 && code[1] == 0;
        if (is_call) fail(vcpu, SIGSYS, "a call of the host, which only the first CPU of a program can make", at);
        fail(vcpu, SIGSEGV, "general protection fault", at);
    }
    const ExceptionSignal meaning = signal_of(vector);
    fail(vcpu, meaning.signal, meaning.reason, at);
}

void FurtherVcpus::fail(const FurtherVcpu& vcpu, int signal, const std::string& reason, const Registers& at) const {
    parts_.user.kill(signal, "on CPU " + std::to_string(vcpu.number) + ": " + reason, at);
}

// --- Threads of the program

void FurtherVcpus::carry(unsigned cpu, const linux_abi::ParkedThread& thread) {
    FurtherVcpu& vcpu = at(cpu);
    kvm::SystemRegisters system = parts_.first.system_registers();
    system.fs.base = thread.pointers.fs_base;
    system.gs.base = thread.pointers.gs_base;
    set_registers(vcpu, system, thread.registers);
    if (vcpu.vectors != thread.vectors) {
        // What KVM has beyond the image are components that this guest does not have.
        std::vector<std::byte> image(vcpu.thread.vcpu().vector_state_size());
        std::memcpy(image.data(), thread.vectors->data(), std::min(image.size(), thread.vectors->size()));
        if (!vcpu.thread.vcpu().set_vector_state(image))
            throw MachineError("KVM refuses the vector registers of a thread");
    }
    vcpu.vectors = nullptr;
    vcpu.carried = thread.state.id;
    vcpu.has_work = true;
    ++working_;
    ++carrying_;
}

void FurtherVcpus::put_down(unsigned cpu, linux_abi::ParkedThread& thread) {
    FurtherVcpu& vcpu = at(cpu);
    std::vector<std::byte> image = vcpu.thread.vcpu().vector_state();
    image.resize(parts_.platform.vector_state_size());
    thread.vectors = vcpu.vectors = std::make_shared<const std::vector<std::byte>>(std::move(image));
    end(vcpu);
}

int FurtherVcpus::carried_by(unsigned cpu) const { return at(cpu).carried; }

bool FurtherVcpus::has_vectors_of(unsigned cpu, const linux_abi::ParkedThread& thread) const {
    return at(cpu).vectors == thread.vectors;
}

kvm::Vcpu& FurtherVcpus::vcpu(unsigned cpu) { return at(cpu).thread.vcpu(); }

std::optional<kvm::Exit> FurtherVcpus::take_exit(unsigned cpu) {
    FurtherVcpu& vcpu = at(cpu);
    auto exit = vcpu.thread.take_exit();
    if (!exit) return exit;
    ++parts_.statistics.exits;
    vcpu.mid_instruction |= !is_whole(*exit);
    return exit;
}

void FurtherVcpus::make_ring_room(unsigned cpu) { at(cpu).writes.make_ring_room(); }

void FurtherVcpus::spoil(unsigned cpu) { at(cpu).mid_instruction = true; }

void FurtherVcpus::run_alone(unsigned cpu, Clock::duration time) {
    const Deadline end = Clock::now() + time;
    const Running one(*this, &at(cpu));
    const MutexLock lock(mutex_);
    while (running_ > 0 && Clock::now() < end) (void)left_.wait_until(mutex_, end);
}

// --- Reset

void FurtherVcpus::collect() {
    for (const auto& vcpu : vcpus_) vcpu->writes.collect();
}

void FurtherVcpus::clear_hand_over_pages() {
    for (const auto& vcpu : vcpus_) vcpu->writes.clear_hand_over_pages();
}

bool FurtherVcpus::forget_last_exits() {
    for (const auto& vcpu : vcpus_) {
        if (vcpu->mid_instruction) return false;
        if (!vcpu->orderly && !vcpu->thread.vcpu().clear_pending()) return false;
        vcpu->orderly = true;
    }
    return true;
}

bool FurtherVcpus::are_orderly() const {
    return std::all_of(vcpus_.begin(), vcpus_.end(),
                       [](const auto& vcpu) { return vcpu->orderly && !vcpu->mid_instruction; });
}

std::uint64_t FurtherVcpus::ioctls() const {
    std::uint64_t all = 0;
    for (const auto& vcpu : vcpus_) all += vcpu->thread.ioctls();
    return all;
}

}  // namespace tinykvm
