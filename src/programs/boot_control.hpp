// Lets another thread end a boot, and keeps what is left of one.
//
// Thread safety: any thread.
#pragma once

#include <memory>

#include "tinykvm/os/mutex.hpp"

namespace tinykvm {
class Machine;
}

namespace tinykvm::host {

class BootControl {
  public:
    BootControl();
    ~BootControl();
    BootControl(const BootControl&) = delete;
    BootControl& operator=(const BootControl&) = delete;

    // Makes the boot end soon, with a Failure. Has to be repeated until it has ended: the program may be about to run
    // only.
    void cancel();
    bool cancelled();

    // Takes a machine that has been frozen, whose VM is to end when nobody waits for the boot any more: with
    // end_machine(), or this.
    void keep(std::unique_ptr<Machine> machine);
    void end_machine();

  private:
    friend class RunningMachine;
    Mutex mutex_;
    Machine* machine_ TINYKVM_GUARDED_BY(mutex_) = nullptr;  // while it runs
    bool cancelled_ TINYKVM_GUARDED_BY(mutex_) = false;
    std::unique_ptr<Machine> frozen_ TINYKVM_GUARDED_BY(mutex_);
};

// Makes a machine known to its control as long as it runs. Throws Failure (shutting_down) when the boot was cancelled.
class RunningMachine {
  public:
    RunningMachine(BootControl& control, Machine& machine);
    ~RunningMachine();
    RunningMachine(const RunningMachine&) = delete;
    RunningMachine& operator=(const RunningMachine&) = delete;

  private:
    BootControl& control_;
};

}  // namespace tinykvm::host
