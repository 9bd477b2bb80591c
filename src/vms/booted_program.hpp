// A program that has booted: its snapshot, and what it registered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/calls/argument_template.hpp"
#include "src/calls/registration.hpp"
#include "src/config/config.hpp"
#include "src/fetch/self_requests.hpp"
#include "tinykvm/program.hpp"
#include "tinykvm/run.hpp"
#include "tinykvm/snapshot.hpp"

namespace tinykvm::host {

class StorageState;
class StorageVm;

// Thread safety: immutable.
struct BootedProgram {
    std::string name;
    ProgramConfig config;
    Registration registration;
    std::shared_ptr<const Snapshot> snapshot;
    GuestServices services;
    std::shared_ptr<const Program> binary{};
    std::shared_ptr<StorageVm> storage{};   // that it has; null: none
    std::shared_ptr<StorageState> state{};  // of a storage: what it saves; null: it keeps none
    // Of a program with the protocol stdio: arguments that are written for each request, and what it had written itself
    // when it was frozen.
    struct ArgumentPlace {
        std::size_t index = 0;  // in main_arguments
        ArgumentTemplate text;
        GuestAddr address = 0;  // with room for max_argument
    };
    std::vector<ArgumentPlace> arguments;
    EnvironmentPlaces environment;  // with `cgi`
    std::vector<std::byte> output;
    // Of one with the protocol http: the connection that it had accepted when it was frozen, if not 0.
    std::uint64_t connection = 0;
    bool is_from_file = false;  // it was not booted, but loaded from its cold_start_file

    // Has it a callback to hand over its state, or to take over that of another?
    bool hands_over() const { return registration.callback(abi::Callback::live_update) != 0; }
    bool takes_over() const { return registration.callback(abi::Callback::live_restore) != 0; }

    // Can its VMs wait for the next request inside their guest (`poll`)?
    bool can_wait_inside() const {
        return config.protocol == ProgramConfig::Protocol::callbacks && !config.may_be_debugged();
    }
};

}  // namespace tinykvm::host
