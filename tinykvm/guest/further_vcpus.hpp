// The vCPUs of a guest besides its first one, for programs with Options::cpus. They run in the same memory.
//
// Either they compute for the call that runs on the first vCPU. Then they have no part in the program's Linux: whatever
// they leave the guest for, except the end of their work, fails the call. Or each carries a thread of the program until
// all vCPUs stand still; what it left the guest for is the business of who gave it the thread (SpreadThreads).
//
// All vCPUs stand still while the host handles what any of them wants, so the rest of a Guest knows nothing of them. A
// further vCPU that needs the host kicks the first one out of the guest, whose thread then makes the others leave.
//
// Owned by Guest; borrows what it works on. Thread safety: the thread that runs the guest.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/guest/cpu_thread.hpp"
#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/guest/write_limit.hpp"
#include "tinykvm/host_calls.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/linux/threads.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/os/mutex.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class FurtherVcpus final : public FurtherCpus {
  public:
    // The parts of the guest it works on; all must outlive this. `first`, `user` and `writes` are of the first vCPU.
    struct Parts {
        kvm::Vm& vm;
        kvm::Vcpu& first;
        const x86::Platform& platform;
        GuestMemory& memory;
        UserContext& user;
        WriteLimit& writes;
        Statistics& statistics;
    };
    // `cpus`: with the first. Throws MachineError.
    FurtherVcpus(const Parts& parts, unsigned cpus);
    ~FurtherVcpus();

    // --- For a host call that is being handled

    unsigned cpus() const override { return static_cast<unsigned>(vcpus_.size()) + 1; }
    bool busy() const override { return working_ > carrying_; }
    bool call(unsigned cpu, GuestAddr function, std::span<const std::uint64_t> arguments) override;
    bool go_on(unsigned cpu, GuestAddr stack, std::size_t size) override;
    void take_back() override { abandon(); }
    // Has to be called before: the registers with which the caller will go on.
    void set_caller(const Registers& registers) { caller_ = registers; }

    // --- For the run of the guest

    // Enters the first vCPU. The others run meanwhile, if they have work; all stand still afterwards.
    kvm::Exit run();
    // Lets the others run until their work has ended. False: it has not, at the deadline or when the flag was set.
    [[nodiscard]] bool await(Deadline deadline, const std::atomic<bool>& interrupted);
    // Has one of them kicked the first vCPU since this was called last? Then the caller has to acknowledge that.
    bool take_kick() { return kicked_.exchange(false); }
    // Handles what they have left for, after run(). Throws GuestFault, OutOfMemory or MachineError.
    void handle_exits();
    // Ends all work, wherever it is.
    void abandon();

    // --- For threads of the program, of vCPUs without other work. `cpu`: 1, 2...

    // Runs the thread from the next run() on.
    void carry(unsigned cpu, const linux_abi::ParkedThread& thread);
    // Has to be called when threads have been given to vCPUs.
    void share_limit();
    // Which thread a vCPU carries; 0: none.
    int carried_by(unsigned cpu) const;
    // Has the vCPU the vector registers of this thread?
    bool has_vectors_of(unsigned cpu, const linux_abi::ParkedThread& thread) const;
    kvm::Vcpu& vcpu(unsigned cpu);
    // Why it has left the guest, if it was not made to. Throws MachineError.
    std::optional<kvm::Exit> take_exit(unsigned cpu);
    // After an exit for that reason; what the guest has written was collected.
    void make_ring_room(unsigned cpu);
    // Lets it run while the others stand still, for so long.
    void run_alone(unsigned cpu, Clock::duration time);
    // It carries the thread no more. Takes the vector registers; the others are in vcpu().
    void put_down(unsigned cpu, linux_abi::ParkedThread& thread);
    // Nobody knows what the thread was about to do: only a new VM can be reset.
    void spoil(unsigned cpu);
    // Of the last run(): how long all vCPUs were in the guest, and then how long it took until all stood still.
    struct Stint {
        Clock::duration ran{}, stopped{};
    };
    const Stint& last_stint() const { return stint_; }

    // --- For a reset; all work has been abandoned

    void collect();
    void clear_hand_over_pages();
    // Makes KVM forget the last exit of each. False: only a new VM can.
    [[nodiscard]] bool forget_last_exits();
    // Is there nothing to forget?
    bool are_orderly() const;

    std::uint64_t ioctls() const;

  private:
    struct FurtherVcpu;
    class Running;

    void begin(FurtherVcpu& vcpu, const Registers& registers);
    void end(FurtherVcpu& vcpu);
    void set_registers(FurtherVcpu& vcpu, const kvm::SystemRegisters& system, const Registers& registers);
    FurtherVcpu& at(unsigned cpu) const { return *vcpus_[cpu - 1]; }
    void note_left(const kvm::Exit& exit, bool carries, bool by_itself);
    void handle(FurtherVcpu& vcpu, const kvm::Exit& exit);
    void exception(FurtherVcpu& vcpu, unsigned vector);
    [[noreturn]] void fail(const FurtherVcpu& vcpu, int signal, const std::string& reason, const Registers& at) const;

    const Parts parts_;
    Registers caller_;
    std::vector<std::unique_ptr<FurtherVcpu>> vcpus_;  // numbers 1, 2...
    unsigned working_ = 0;                             // how many have work, or carry a thread
    unsigned carrying_ = 0;                            // how many carry a thread
    Stint stint_;

    std::atomic<bool> first_runs_{false}, kicked_{false};
    Mutex mutex_;
    CondVar left_;
    unsigned running_ TINYKVM_GUARDED_BY(mutex_) = 0;
    bool wants_host_ TINYKVM_GUARDED_BY(mutex_) = false;
};

}  // namespace tinykvm
