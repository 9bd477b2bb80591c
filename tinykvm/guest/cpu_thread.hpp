// A further vCPU of a guest, and the thread of this process that runs it. The thread does nothing but enter the vCPU
// when it is told to; what the guest left for is handled by the thread that runs the guest, while all vCPUs stand
// still.
//
// Owned by FurtherVcpus. Thread safety: the thread that runs the guest, but `left` is called by the vCPU's own thread.
// Throws MachineError.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm {

class CpuThread {
  public:
    // `left` is called each time the vCPU has left its VM; `by_itself`: not because of halt().
    using Left = std::function<void(const kvm::Exit& exit, bool by_itself)>;
    CpuThread(const kvm::Vm& vm, std::span<const kvm::CpuidEntry> cpuid, unsigned number, Left left);
    ~CpuThread();
    CpuThread(const CpuThread&) = delete;
    CpuThread& operator=(const CpuThread&) = delete;

    // Only while it stands still.
    kvm::Vcpu& vcpu() { return vcpu_; }
    // Lets it enter its VM.
    void enter();
    // Makes it leave, without waiting for that.
    void ask_to_halt();
    // It stands still afterwards, having been made to leave if need be.
    void halt();
    // Why it has left since this was called last, if it has. Only while it stands still. Throws what Vcpu::run() threw.
    std::optional<kvm::Exit> take_exit();
    // CPU time the thread took to run it, since this was called last. Only while it stands still.
    std::chrono::nanoseconds take_time() { return std::exchange(time_, std::chrono::nanoseconds(0)); }
    std::uint64_t ioctls() const { return vcpu_.ioctls(); }

  private:
    enum class State { stands_still, runs, ends };

    void work();
    void run();
    bool wait_for_turn();

    kvm::Vcpu vcpu_;
    const Left left_;
    std::atomic<bool> halting_{false};
    // Written by whose turn it is: the thread while it runs, others while it stands still.
    std::chrono::nanoseconds time_{0};
    std::optional<kvm::Exit> exit_;
    std::exception_ptr failure_;

    Mutex mutex_;
    CondVar changed_;
    State state_ TINYKVM_GUARDED_BY(mutex_) = State::stands_still;
    std::thread thread_;
};

}  // namespace tinykvm
