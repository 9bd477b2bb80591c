// A running program: a VM with one vCPU, its memory, its Linux process, and the loop that runs it.
// What Machine and Fork are made of; not part of the library's public face.
//
// Thread safety: one thread at a time, but interrupt() may be called by any, and calls of a guest that waits have a
// thread of their own ("Calls without entering").
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "tinykvm/elf/loader.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/host_calls.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/kvm/watchdog.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/memory/image.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/x86/layout.hpp"
#include "tinykvm/x86/mailbox.hpp"

namespace tinykvm {

struct SnapshotContents {
    Options options;
    std::vector<elf::LoadedProgram> programs;
    std::shared_ptr<const MemoryImage> memory;
    linux_abi::ProcessState process;
    Registers registers;  // in user mode, behind the host call the program was frozen in
    kvm::SystemRegisters system_registers;
    std::vector<std::byte> vector_state;
    RequestArea request_area;
};

class Guest {
  public:
    Guest(std::shared_ptr<const Program> program, Options options);
    explicit Guest(const SnapshotContents& snapshot);
    ~Guest();

    Stop run(HostCalls* calls, Deadline deadline);
    // Makes the next run() call `function`, with the stack of `snapshot`.
    void prepare_call(const SnapshotContents& snapshot, GuestAddr function, std::span<const std::uint64_t> arguments);
    // Makes the next run() go on behind the host call the guest stopped in.
    void prepare_resume(const SnapshotContents& snapshot, std::int64_t result);

    // Of a program that boots; see Machine.
    Stop call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline);
    Stop resume(std::int64_t result, HostCalls& calls, Deadline deadline);
    RequestArea request_area();

    std::unique_ptr<const SnapshotContents> freeze();
    // Equal to the snapshot again. False: only a new Guest can be.
    bool restore(const SnapshotContents& snapshot);
    // Is that nothing but copying a few pages and setting registers? It then succeeds.
    bool resets_quickly();
    void interrupt() noexcept;
    void release_locks();

    // Calls without entering (guest_polling.cpp); see Fork.
    bool prepare_wait(const SnapshotContents& snapshot, Fork::Awaits awaits, std::chrono::microseconds wait);
    std::optional<Stop> wait_for_call(HostCalls& calls);
    bool post(const SnapshotContents& snapshot, GuestAddr function, std::span<const std::uint64_t> arguments,
              Deadline deadline);
    bool post_result(std::int64_t result, Deadline deadline);
    std::optional<Stop> take_call(HostCalls& calls);
    void dismiss(std::optional<std::chrono::microseconds> wait_again);
    void stop_listening();
    void recall();

    GuestMemory& memory() { return memory_; }
    const Statistics& statistics() const { return statistics_; }
    void set_statistics(const Statistics& statistics) { statistics_ = statistics; }

  private:
    class Vectors final : public linux_abi::VectorState {
      public:
        Vectors(kvm::Vcpu& vcpu, const x86::Platform& platform) : vcpu_(vcpu), platform_(platform) {}
        std::size_t size() const override { return platform_.vector_state_size(); }
        void save(std::span<std::byte> image) override;
        bool load(std::span<const std::byte> image) override;
        std::uint64_t features() const override { return platform_.xcr0() ? platform_.xcr0() : 3; }

      private:
        kvm::Vcpu& vcpu_;
        const x86::Platform& platform_;
    };

    // After an exit: throws Timeout when the time is up, else handles it.
    std::optional<Stop> handle_in_time(const kvm::Exit& exit, HostCalls* calls, Deadline deadline);
    // Could the guest write much more before the dirty ring is full than its limit leaves it?
    bool may_write_too_much() const;
    // Before it is entered: it stops at the latest when it has written little more than that.
    void bound_writes();
    // What an exit means for the run: nullopt, the guest goes on.
    std::optional<Stop> handle(const kvm::Exit& exit, HostCalls* calls, Deadline deadline);
    static bool is_whole(const kvm::Exit& exit);
    std::optional<Stop> doorbell(const kvm::Exit& exit, HostCalls* calls, Deadline deadline);
    std::optional<Stop> host_call(std::uint32_t number, Registers registers, HostCalls* calls, Deadline deadline);
    std::optional<Stop> system_call(Deadline deadline);
    // The running thread was interrupted: another one's turn, when its own is over.
    std::optional<Stop> interrupted(Deadline deadline);
    // When the ring is full and has been collected: as many pages more.
    void make_ring_room();
    // The guest leaves now, as at the end of a turn.
    void end_turn() noexcept;
    // Was it the end of a turn that interrupted the guest? It is acknowledged then.
    bool end_of_turn();
    // Interrupts the running thread when others have waited long enough. REQUIRES: there are others.
    void watch_turn(bool begins);
    // Lets the thread run that the program waits with. Throws MachineError when it has ended.
    void turn_to_waiting_thread(int id);
    linux_abi::ThreadPointers thread_pointers() const;
    void set_thread_pointers(const linux_abi::ThreadPointers& pointers);
    std::optional<Stop> exception(unsigned vector, HostCalls* calls, Deadline deadline);
    std::optional<Stop> page_fault(GuestAddr address, std::uint32_t error_code, const Registers& registers);
    std::optional<Stop> fault(const linux_abi::Fault& fault, const Registers& registers, std::string reason);
    std::optional<Stop> conclude(const linux_abi::Outcome& outcome, std::string reason, const Registers& at);
    [[noreturn]] void kill(int signal, std::string reason, const Registers& at);

    Registers user_registers() const;
    // The program goes on in user mode with these registers.
    void enter_user(const Registers& registers);
    void collect_dirty_pages();
    // Collects them, and throws OutOfMemory when they are too many: whenever the guest has stopped, before anything is
    // done for it that could take some of them away.
    void count_changes();
    void prepare_vcpu();
    void load_vectors(const SnapshotContents& snapshot);
    void load_interpreter();
    void map_stack();
    void map_shared_memory();
    GuestAddr stack_bottom() const;
    GuestAddr lay_out_stack();
    // The stack of a call below the stack pointer the program waits with, with the address on it where its function
    // returns to.
    GuestAddr call_stack(std::uint64_t waiting_stack);
    void drop_request_area();
    void note_peak(std::uint64_t bytes);
    void require_whole_instruction() const;
    // Of the host call the guest stands in.
    void return_value(std::int64_t value);
    void wait_in_shim(std::chrono::microseconds wait);
    void stand_in_call(bool called_out);
    // Lets a guest that waits go on with what is in its mailbox. REQUIRES: turn_ is held.
    bool hand_over(x86::Mailbox::Phase phase, Deadline deadline);
    x86::Mailbox mailbox() const { return x86::Mailbox(memory_.system_block() + x86::mailbox_offset); }

    const x86::Platform& platform_;
    Options options_;
    kvm::Vm vm_;
    kvm::Vcpu vcpu_;
    GuestMemory memory_;
    std::vector<elf::LoadedProgram> programs_;
    linux_abi::Process process_;
    RequestArea request_area_;  // while it boots
    Vectors vectors_{vcpu_, platform_};

    std::atomic<bool> interrupted_{false};
    // The last run did not end in an orderly stop: KVM may hold half-done work.
    bool disorderly_ = false;
    // A guest left in the middle of an instruction that KVM emulates piece by piece (a load from the doorbell page, a
    // wide or torn store): only a new VM is certain not to go on with it.
    bool mid_instruction_ = false;
    // The dirty ring of this KVM is as long as it is.
    bool ring_unbounded_ = false;
    // The process may have changed since the last restore.
    bool process_used_ = true;
    // The vector registers are not the snapshot's yet: the next entry has to load them.
    bool vectors_stale_ = false;
    // The last page fault that access rights do not explain.
    GuestAddr spurious_address_ = 0, spurious_rip_ = 0;
    int spurious_count_ = 0;

    // Of a program with several threads (guest_threads.cpp): the end of the running one's turn, while others want
    // theirs.
    static constexpr Clock::duration shortest_turn = std::chrono::milliseconds(4);
    std::atomic<bool> turn_over_{false};
    Deadline turn_ends_;
    Clock::duration turn_length_ = shortest_turn;
    std::optional<kvm::Watch> turn_watch_;

    Statistics statistics_;
    std::vector<std::uint64_t> new_pages_;

    // Calls without entering. Who holds `turn_` handles what the guest wants: the thread that runs it after an exit, or
    // the thread that called after a look into the mailbox. Everything else of the guest belongs to whoever handles.
    enum class Wait {
        none,       // not in wait_for_call(), or about to leave it
        waiting,    // nobody has called
        called,     // the call runs
        concluded,  // it has ended in the mailbox, where the guest stays until it is told more
    };
    std::mutex turn_;
    Wait wait_ = Wait::none;  // guarded by turn_
    Fork::Awaits awaits_ = Fork::Awaits::call;
    Registers resumed_;                     // what a guest that awaits a result goes on with
    Stop conclusion_;                       // guarded by turn_; how a call ended in the mailbox
    std::exception_ptr call_failure_;       // guarded by turn_; what take_call() ran into
    Deadline call_deadline_;                // guarded by turn_
    int called_on_ = 0;                     // guarded by turn_; the thread that runs the call
    std::optional<kvm::Watch> call_watch_;  // guarded by turn_
};

}  // namespace tinykvm
