// What a program without a storage hands over in a live update: what its main() and its warm-up have prepared. A fresh
// VM of it is asked, on a thread of its own.
#pragma once

#include <functional>
#include <memory>

#include "src/calls/storage.hpp"
#include "src/vms/booted_program.hpp"

namespace tinykvm::host {

// Waits for that, at most max_request_time; `is_cancelled` is asked meanwhile, and ends it soon. Throws Failure
// (not_ready).
StorageBytes take_live_state(const std::shared_ptr<const BootedProgram>& program,
                             const std::function<bool()>& is_cancelled);

}  // namespace tinykvm::host
