// The time slices of a program with several threads, or with timers that send signals. Ends the slice of the running
// thread with a kick, as at a deadline, and lets the program's Linux choose the next thread and deliver signals
// (linux/scheduler.cpp).
//
// Owned by Guest; borrows vCPU and user context. Thread safety: used by the thread that handles what the guest wants.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>

#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/watchdog.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class TimeSlices {
  public:
    // `interrupted`: set when a kick is not the end of a slice but of the run. All must outlive this.
    TimeSlices(kvm::Vcpu& vcpu, UserContext& user, const std::atomic<bool>& interrupted)
        : vcpu_(vcpu), user_(user), interrupted_(interrupted) {}

    // Has to be called when a run begins: forgets what is left of the time slices of the run before.
    void begin_run();
    // From now on the running thread is not interrupted.
    void stop() noexcept { watch_.reset(); }
    // So many other threads can run beside the running one from now on: slices end for those that are more.
    void let_run_beside(std::size_t threads) { beside_ = threads; }
    // Begins a new slice, for the thread that runs now.
    void begin_slice() { watch(true); }
    // The same when the thread cannot be interrupted yet: a signal of a timer that is due waits as long as a slice.
    void put_off_end() { watch(true, length_); }
    // Has to be called when other threads may have become ready: makes the slice end in time. `other_thread`: another
    // thread runs now, and a new slice begins.
    void others_may_be_ready(bool other_thread) { watch(other_thread); }
    // Will the slice of the running thread end?
    bool will_end() const { return watch_.has_value(); }
    // Makes the guest leave now, as at the end of a slice.
    void end_slice() noexcept;
    // Has the slice ended, and nobody has acknowledged that?
    bool has_ended() const { return over_.load(); }
    // Was the guest interrupted by the end of its slice? If so, acknowledges that.
    bool acknowledge_end();
    // After an end that was acknowledged: lets other threads run. nullopt: the same thread goes on. Throws Timeout when
    // none could go on until the deadline.
    std::optional<linux_abi::Outcome> switch_thread(Deadline deadline);

    // Makes this equal to a new one.
    void reset() { length_ = shortest; }

  private:
    static constexpr Clock::duration shortest = std::chrono::milliseconds(4);

    // Arms the watchdog for the time when other threads have waited long enough, or a signal of a timer is due, but not
    // before `least` has passed. `begins`: with a new slice.
    void watch(bool begins, Clock::duration least = {});

    kvm::Vcpu& vcpu_;
    UserContext& user_;
    const std::atomic<bool>& interrupted_;
    std::atomic<bool> over_{false};  // set at the end of a slice, by the watchdog
    Deadline ends_;                  // what watch_ waits for
    Clock::duration length_ = shortest;
    std::size_t beside_ = 0;
    std::optional<kvm::Watch> watch_;  // none while nothing but the running thread is to run
};

}  // namespace tinykvm
