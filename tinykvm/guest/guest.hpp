// A running program: a VM with its vCPU, its memory, its Linux process, and the loop that runs it. What Machine and
// Fork are made of; not part of the library's public face.
//
// What a guest leaves user mode for is handled by Exits, calls without entering by MailboxCalls, the time slices
// of several threads by TimeSlices, further vCPUs by FurtherVcpus, threads on those by SpreadThreads; ProgramLoader
// fills the memory of a new program.
//
// Thread safety: one thread at a time, but interrupt() may be called by any, and calls of a guest that waits have a
// thread of their own (Fork, "Calls without entering").
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tinykvm/elf/loader.hpp"
#include "tinykvm/guest/exits.hpp"
#include "tinykvm/guest/further_vcpus.hpp"
#include "tinykvm/guest/mailbox_calls.hpp"
#include "tinykvm/guest/run_time.hpp"
#include "tinykvm/guest/snapshot_contents.hpp"
#include "tinykvm/guest/spread_threads.hpp"
#include "tinykvm/guest/time_slices.hpp"
#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/guest/write_limit.hpp"
#include "tinykvm/host_calls.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/linux/lent_threads.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/run.hpp"
#include "tinykvm/statistics.hpp"

namespace tinykvm {

class Guest {
  public:
    // A program that boots. Throws LoadError, OutOfMemory or MachineError.
    Guest(std::shared_ptr<const Program> program, Options options);
    // A fork of a snapshot, which must outlive it. Throws MachineError.
    explicit Guest(const SnapshotContents& snapshot);
    ~Guest();

    // Runs from where the guest stands. Throws Timeout, and what Exits::handle() throws.
    Stop run(HostCalls* calls, Deadline deadline);
    // Calls a function while the guest stands in a host call, on the stack below. The guest stands there again
    // afterwards, with the registers it had.
    Stop call_on_top(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline);
    // Lets the guest go on after the host call it stands in.
    Stop resume(std::int64_t result, HostCalls& calls, Deadline deadline);
    // Lets a guest go on that stopped with Stop::Reason::needs_input.
    Stop go_on(HostCalls& calls, Deadline deadline);
    void interrupt() noexcept;

    // --- Of a program that boots; see Machine

    // Throws MachineError unless the guest stands still in a call, of the host or of Linux.
    void require_waiting(const char* to_be) const;
    RequestArea request_area();
    // Of a program that stopped at its entry point.
    std::vector<GuestAddr> argument_addresses() const;
    EnvironmentPlaces environment_places() const;
    std::vector<std::string> listening() const;
    std::unique_ptr<const SnapshotContents> freeze();

    // --- Of a fork; see Fork

    // Calls a function on the stack of the snapshot.
    Stop call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline);
    // Calls without entering.
    MailboxCalls& mailbox() { return mailbox_; }
    // Equal to the snapshot again. False: only a new Guest can be.
    bool reset();
    // See Fork.
    bool recover(bool crashed);
    // Does reset() nothing but copy a few pages and set registers? Then it succeeds.
    bool resets_quickly() const;

    // --- For a debugger; see Machine and Fork

    void set_debugger(debug::Debugger* debugger) { exits_.set_debugger(debugger); }
    void start_debugging() { exits_.start_debugging(); }
    void end_debugging() { exits_.end_debugging(); }
    bool changed_by_debugger() const { return exits_.changed_by_debugger(); }
    Clock::duration debugged_time() const { return time_.suspended(); }

    // See Fork.
    [[nodiscard]] int append_to_file(const std::string& path, std::span<const std::byte> bytes);
    [[nodiscard]] int read_file(const std::string& path, std::size_t most, std::vector<std::byte>& bytes);
    GuestMemory& memory() { return memory_; }
    const Statistics& statistics() const { return statistics_; }
    void set_statistics(const Statistics& statistics) { statistics_ = statistics; }

  private:
    Stop run(HostCalls* calls, Deadline deadline, bool in_call);
    void prepare_vcpu();
    void make_further_vcpus();
    void touch_working_set();
    std::uint64_t ioctls() const { return vcpu_.ioctls() + (further_ ? further_->ioctls() : 0); }
    kvm::Exit enter();
    bool can_forget_last_exit();
    void collect_writes();
    void drop_request_area();
    void note_peak(std::uint64_t bytes);
    MailboxCalls::Parts parts();

    const x86::Platform& platform_;
    const SnapshotContents* const snapshot_;  // null while the program boots
    Options options_;
    kvm::Vm vm_;
    kvm::Vcpu vcpu_;
    GuestMemory memory_;
    std::vector<elf::LoadedProgram> programs_;
    linux_abi::Process process_;
    linux_abi::LentThreads lent_threads_;
    RequestArea request_area_;  // while the program boots

    Statistics statistics_;
    // Set when the run is to end now: at its deadline by the watchdog, by interrupt() and by MailboxCalls.
    std::atomic<bool> interrupted_{false};

    UserContext user_{vcpu_, platform_, memory_, process_, programs_};
    WriteLimit writes_{vcpu_, memory_};
    TimeSlices slices_{vcpu_, user_, interrupted_};
    RunTime time_{vcpu_, interrupted_};
    Exits exits_{vcpu_, memory_, user_, writes_, slices_, time_, statistics_, interrupted_};
    MailboxCalls mailbox_{parts(), snapshot_};
    std::unique_ptr<FurtherVcpus> further_;  // null: the program has one CPU
    std::optional<SpreadThreads> spread_;    // if there are further vCPUs
};

}  // namespace tinykvm
