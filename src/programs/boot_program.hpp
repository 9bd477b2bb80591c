// Boots a program: loads it, runs it until it waits for requests, warms it up and freezes it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "src/calls/storage.hpp"
#include "src/config/config.hpp"
#include "src/programs/storage_place.hpp"
#include "src/vms/booted_program.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm {
class Machine;
class Program;
}  // namespace tinykvm

namespace tinykvm::host {

// Lets another thread end a boot.
//
// Thread safety: any thread.
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

// A boot that is to replace a program that runs.
struct LiveUpdate {
    std::shared_ptr<const StorageBytes> state;  // what that hands over, if it has no storage; null: nothing
};

// Loads and runs the program until it waits for requests, on this thread: `binary`, or if that is null what the
// configuration says, which is fetched first if need be. `log` gets what it says meanwhile. Throws Failure (not_ready)
// with the reason. A program with a storage gets that of `place`, or begins it there first; null: it has none.
// With `update` a storage that is begun is not that of the place before it is adopted.
std::shared_ptr<const BootedProgram> boot_program(const std::string& name, const ProgramConfig& config,
                                                  std::shared_ptr<const Program> binary,
                                                  const std::function<void(std::string_view)>& log,
                                                  BootControl& control, const GuestServices& services = {},
                                                  StoragePlace* place = nullptr, const LiveUpdate* update = nullptr);

}  // namespace tinykvm::host
