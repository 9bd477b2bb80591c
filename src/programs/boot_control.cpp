#include "src/programs/boot_control.hpp"

#include "src/base/failure.hpp"
#include "tinykvm/machine.hpp"

namespace tinykvm::host {

BootControl::BootControl() = default;
BootControl::~BootControl() = default;

void BootControl::cancel() {
    const MutexLock lock(mutex_);
    cancelled_ = true;
    if (machine_ != nullptr) {
        machine_->interrupt();
    }
}

bool BootControl::cancelled() {
    const MutexLock lock(mutex_);
    return cancelled_;
}

// Destroys a machine that it has already only when the mutex is free.
void BootControl::keep(std::unique_ptr<Machine> machine) {
    const MutexLock lock(mutex_);
    frozen_.swap(machine);
}

void BootControl::end_machine() { keep(nullptr); }

RunningMachine::RunningMachine(BootControl& control, Machine& machine) : control_(control) {
    const MutexLock lock(control_.mutex_);
    if (control_.cancelled_) {
        throw Failure(FailureKind::shutting_down, "the boot was cancelled");
    }
    control_.machine_ = &machine;
}

RunningMachine::~RunningMachine() {
    const MutexLock lock(control_.mutex_);
    control_.machine_ = nullptr;
}

}  // namespace tinykvm::host
