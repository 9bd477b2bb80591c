// The time slices of a program with several threads: ends that of the thread which runs, by a kick as for a deadline,
// and lets the program's Linux choose the next thread (linux/scheduler.cpp).
//
// Owned by Guest; borrows vCPU and user context. Thread safety: used by the thread that handles what the guest wants.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/watchdog.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class TimeSlices {
  public:
    // `interrupted`: the flag that goes with kicks which are not the end of a slice. All must outlive this.
    TimeSlices(kvm::Vcpu& vcpu, UserContext& user, const std::atomic<bool>& interrupted)
        : vcpu_(vcpu), user_(user), interrupted_(interrupted) {}

    // A run begins; forgets what may be left of the slices of the run before.
    void begin_run();
    // Nobody interrupts the thread that runs any more.
    void stop() noexcept { watch_.reset(); }
    // A new slice begins, for the thread that runs now.
    void begin_slice() { watch(true); }
    // Other threads may have become ready: the slice ends when that is due. It is a new one if another thread runs now.
    void others_may_be_ready(bool other_thread) { watch(other_thread); }
    // The guest leaves now, as at the end of a slice.
    void end_slice() noexcept;
    // Was it the end of a slice that interrupted the guest? It is acknowledged then.
    bool acknowledge_end();
    // After an end that was acknowledged: lets other threads run. nullopt: the same thread goes on. Throws Timeout when
    // none could go on until the deadline.
    std::optional<linux_abi::Outcome> switch_thread(Deadline deadline);

    // Equal to new ones.
    void reset() { length_ = shortest; }

  private:
    static constexpr Clock::duration shortest = std::chrono::milliseconds(4);

    // Interrupts the running thread when others have waited long enough.
    void watch(bool begins);

    kvm::Vcpu& vcpu_;
    UserContext& user_;
    const std::atomic<bool>& interrupted_;
    std::atomic<bool> over_{false};  // set at the end of a slice, by the watchdog
    Deadline ends_;                  // what watch_ waits for
    Clock::duration length_ = shortest;
    std::optional<kvm::Watch> watch_;  // none while the program has one thread
};

}  // namespace tinykvm
