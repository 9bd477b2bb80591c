// Boots a program: loads it, runs it until it waits for requests, warms it up and freezes it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "src/calls/storage.hpp"
#include "src/config/config.hpp"
#include "src/programs/boot_control.hpp"
#include "src/programs/storage_place.hpp"
#include "src/vms/booted_program.hpp"

namespace tinykvm {
class Program;
}  // namespace tinykvm

namespace tinykvm::host {

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
