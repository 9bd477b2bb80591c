// A program that has booted: its snapshot, and what it registered.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "api/config.hpp"
#include "api/registration.hpp"
#include "api/self_requests.hpp"
#include "tinykvm/snapshot.hpp"

namespace tinykvm {
class Machine;
class Program;
}

namespace tinykvm::api {

// Thread safety: immutable.
struct BootedProgram {
    std::string name;
    ProgramConfig config;
    Registration registration;
    std::shared_ptr<const Snapshot> snapshot;
    std::size_t binary_size;  // bytes
    std::string binary_type;  // "static", "static-pie" or "dynamic"
    Outside outside;
};

// Lets another thread end a boot.
//
// Thread safety: any thread.
class BootControl {
  public:
    // The boot ends soon with a Failure. To be repeated until it has: the program may not run yet, or not any more.
    void cancel();
    bool cancelled();

  private:
    friend class RunningMachine;
    std::mutex mutex_;
    Machine* machine_ = nullptr;  // while it runs
    bool cancelled_ = false;
};

// Loads and runs the program until it waits for requests, on this thread: `binary`, or if that is null what the
// configuration says, which is fetched first if need be. `log` gets what it says meanwhile. Throws Failure (not_ready)
// with the reason.
std::shared_ptr<const BootedProgram> boot_program(const std::string& name, const ProgramConfig& config,
                                                  std::shared_ptr<const Program> binary,
                                                  const std::function<void(std::string_view)>& log,
                                                  BootControl& control, const Outside& outside = {});

}  // namespace tinykvm::api
