// What an exception that ended a guest's run means for the request it ran for.
//
// Thread safety: any thread.
#pragma once

#include <chrono>
#include <exception>
#include <optional>

#include "src/base/failure.hpp"

namespace tinykvm::host {

struct FailedRun {
    std::exception_ptr thrown;
    std::optional<FailureKind> interrupted;  // why the guest was interrupted, if it was
    bool is_error_handler = false;           // this was the second chance of the request
    std::chrono::microseconds time_allowed{0};
};

Failure failure_of(const FailedRun& run);

}  // namespace tinykvm::host
