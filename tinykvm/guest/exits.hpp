// What a guest left its user mode for: host calls, system calls, faults, the end of its time. Decides what each exit
// means for the run, and knows in which state the last one left the vCPU.
//
// Owned by Guest; borrows what it works on. Thread safety: used by the thread that handles what the guest wants.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "tinykvm/debug/debugger.hpp"
#include "tinykvm/guest/call_stubs.hpp"
#include "tinykvm/guest/further_vcpus.hpp"
#include "tinykvm/guest/run_time.hpp"
#include "tinykvm/guest/spread_threads.hpp"
#include "tinykvm/guest/time_slices.hpp"
#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/guest/write_limit.hpp"
#include "tinykvm/host_calls.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/watchdog.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/run.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class Exits {
  public:
    // `interrupted`: set when the run is to end now, by its deadline or by Guest::interrupt().
    Exits(kvm::Vcpu& vcpu, GuestMemory& memory, UserContext& user, WriteLimit& writes, TimeSlices& slices,
          RunTime& time, Statistics& statistics, const std::atomic<bool>& interrupted)
        : vcpu_(vcpu),
          memory_(memory),
          user_(user),
          writes_(writes),
          slices_(slices),
          time_(time),
          statistics_(statistics),
          interrupted_(interrupted) {}

    // From now on the program's code may be changed so that it calls the shim without SYSCALL.
    void use_call_stubs() { call_stubs_.emplace(memory_); }

    // The guest has further vCPUs, and threads may run on them. Both must outlive this.
    void use_further_vcpus(FurtherVcpus& further, SpreadThreads& spread) {
        further_ = &further;
        spread_ = &spread;
    }

    // Has to be called when a run or a call of a function begins.
    void begin_call() {
        if (further_) further_->abandon();
        spurious_count_ = 0;
        threads_use_futexes_ = false;
        if (in_debugger_) look_at_debugger_after(look_time);
    }
    // Has the program made system calls in this run with which threads hand over to each other, be it for one alone?
    bool threads_use_futexes() const { return threads_use_futexes_; }
    // See Machine and Fork.
    void set_debugger(debug::Debugger* debugger) { debugger_ = debugger; }
    // Tells the debugger that nothing of the program has run. Throws as handle().
    void start_debugging();
    // The program leaves the hands of the debugger, if it is in them.
    void end_debugging();
    // Has a debugger changed anything of the program?
    bool changed_by_debugger() const { return changed_by_debugger_; }
    // Has to be called for each exit, before anything is done for it.
    void note(const kvm::Exit& exit);
    // What the exit means for the run; nullopt: the guest goes on. Throws Timeout when its time is up, and what else
    // ends runs: Interrupted, GuestFault, OutOfMemory, MachineError, what `calls` throws. `calls` may be null: all are
    // then ENOSYS.
    std::optional<Stop> handle(const kvm::Exit& exit, HostCalls* calls, Deadline deadline);

    // Goes on in the system call in which the last run stopped with needs_input. Otherwise as handle().
    std::optional<Stop> go_on_in_call(Deadline deadline);

    // The program will jump to x86::entry_stop: the run stops (Stop::Reason::at_entry) at its entry point instead, and
    // `entry_word` in its memory, which told it to jump there, gets the value that it should have. `random`: where the
    // bytes of AT_RANDOM are, of which the program itself has not used any by then.
    struct EntryStop {
        GuestAddr entry = 0, entry_word = 0, random = 0;
    };
    void stop_at(const EntryStop& entry) { entry_stop_ = entry; }

    // Did the last run end in an orderly stop? If not, KVM may not have completed the last exit.
    bool is_orderly() const { return orderly_; }
    void set_orderly(bool orderly) { orderly_ = orderly; }
    // Was the guest left in the middle of an instruction that KVM emulates piece by piece (a load from the doorbell
    // page, a wide or torn store)? Only a new VM is certain not to go on with it.
    bool is_mid_instruction() const { return mid_instruction_; }
    // Throws MachineError when the guest was left in the middle of one.
    void require_whole_instruction() const;

  private:
    static constexpr Clock::duration look_time = std::chrono::milliseconds(100);

    [[noreturn]] void end_run(Deadline deadline) const;
    void attend_further_vcpus();
    std::optional<Stop> attend_threads(Deadline deadline);
    bool may_leave_first_cpu() const { return spread_ && user_.process().has_several_threads(); }
    std::optional<Stop> dispatch(const kvm::Exit& exit, HostCalls* calls, Deadline deadline);
    std::optional<Stop> doorbell(const kvm::Exit& exit, HostCalls* calls, Deadline deadline);
    std::optional<Stop> host_call(std::uint32_t number, Registers registers, HostCalls* calls, Deadline deadline);
    std::optional<Stop> system_call(Deadline deadline);
    std::optional<Stop> end_of_slice(Deadline deadline);
    std::optional<Stop> exception(unsigned vector, HostCalls* calls, Deadline deadline);
    bool leave_with_futex(Registers registers);
    bool is_for_program(const linux_abi::Fault& fault, Registers& registers);
    bool ask_debugger(int signal, Registers& registers, debug::Debugger::Event event);
    void follow_debugger();
    void look_at_debugger_after(Clock::duration time);
    void look_at_debugger();
    std::optional<Stop> stop_after_call(linux_abi::Outcome outcome, Registers registers, const Registers& before);
    std::optional<Stop> arrive_at_entry(Registers registers);
    std::optional<Stop> page_fault(GuestAddr address, std::uint32_t error_code, const Registers& registers);
    // Goes on after a page fault that access rights do not explain.
    void retry_access(GuestAddr address, const Registers& registers);
    std::optional<Stop> fault(const linux_abi::Fault& fault, const Registers& at, std::string reason);
    std::optional<Stop> stop_after(const linux_abi::Outcome& outcome, std::string reason, const Registers& at) const;

    // Members that change with each call come first: they share cache lines with those that change in Guest.
    bool orderly_ = true;
    bool threads_use_futexes_ = false;
    bool mid_instruction_ = false;
    // The last page fault that access rights do not explain, and how often it came.
    GuestAddr spurious_address_ = 0, spurious_rip_ = 0;
    int spurious_count_ = 0;
    std::optional<EntryStop> entry_stop_;
    std::optional<CallStubs> call_stubs_;
    FurtherVcpus* further_ = nullptr;  // null: there are none
    SpreadThreads* spread_ = nullptr;  // null: there are no further vCPUs
    debug::Debugger* debugger_ = nullptr;
    bool stepping_ = false;  // for the debugger
    bool changed_by_debugger_ = false;
    bool in_debugger_ = false;  // it is attached; it is then asked now and then whether the program is to stop
    bool pause_due_ = false;    // it wants that
    std::atomic<bool> look_due_{false};
    std::optional<kvm::Watch> look_;

    kvm::Vcpu& vcpu_;
    GuestMemory& memory_;
    UserContext& user_;
    WriteLimit& writes_;
    TimeSlices& slices_;
    RunTime& time_;
    Statistics& statistics_;
    const std::atomic<bool>& interrupted_;
};

}  // namespace tinykvm
