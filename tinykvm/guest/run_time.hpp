// The time that a run of the guest may take: at its end the guest is interrupted. Time in which a debugger has the
// program does not count.
//
// Owned by Guest; borrows vCPU and flag. Thread safety: the thread that runs the guest.
#pragma once

#include <atomic>
#include <optional>

#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/kvm/watchdog.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class RunTime {
  public:
    // `interrupted`: set at the end of the time. Both must outlive this.
    RunTime(kvm::Vcpu& vcpu, std::atomic<bool>& interrupted) : vcpu_(vcpu), interrupted_(interrupted) {}

    void begin(Deadline deadline);
    void end();
    // When the time is up, as far as that is known now.
    Deadline deadline() const { return suspended_since_ ? suspended_until_ : deadline_; }

    // The time stands still from now on, until resume(): deadline() is `until` meanwhile, which nothing here enforces.
    // May be called again, and between runs.
    void suspend(Deadline until);
    void resume();
    // How long it has stood still so far, as of the last of these calls.
    Clock::duration suspended() const { return suspended_; }

    // The time begins and ends with this object.
    class Run {
      public:
        Run(RunTime& time, Deadline deadline) : time_(time) { time_.begin(deadline); }
        ~Run() { time_.end(); }
        Run(const Run&) = delete;
        Run& operator=(const Run&) = delete;

      private:
        RunTime& time_;
    };

  private:
    void count_suspended();

    kvm::Vcpu& vcpu_;
    std::atomic<bool>& interrupted_;
    Deadline deadline_, suspended_until_;
    std::optional<Clock::time_point> suspended_since_;
    Clock::duration suspended_{0};
    bool runs_ = false;
    std::optional<kvm::Watch> watch_;  // while the guest runs and the time does, too
};

}  // namespace tinykvm
