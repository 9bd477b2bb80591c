// A program that has booted: its snapshot, and what it registered.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "src/calls/registration.hpp"
#include "src/config/config.hpp"
#include "src/fetch/self_requests.hpp"
#include "tinykvm/snapshot.hpp"

namespace tinykvm::host {

// Thread safety: immutable.
struct BootedProgram {
    std::string name;
    ProgramConfig config;
    Registration registration;
    std::shared_ptr<const Snapshot> snapshot;
    std::size_t binary_size;  // bytes
    std::string binary_type;  // "static", "static-pie" or "dynamic"
    GuestServices services;
};

}  // namespace tinykvm::host
