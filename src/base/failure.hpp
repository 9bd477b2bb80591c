// Why a request was not answered, in one of a few kinds the caller can act on.
#pragma once

#include <string>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/run.hpp"

namespace tinykvm::host {

enum class FailureKind {
    // The program's fault.
    crashed,
    timed_out,
    out_of_memory,
    no_answer,
    invalid_answer,
    unsupported,  // no callback for such a request
    // The fault of the request or its client.
    too_large,
    too_slow,  // its body came too slowly
    client_gone,
    // The host's fault.
    busy,           // no VM became free in time
    not_ready,      // the program did not boot
    host_error,     // out of memory, descriptors, KVM
    shutting_down,  // the program is being shut down
};

// "crashed", "timed out", ...
const char* to_string(FailureKind kind);
bool is_program_failure(FailureKind kind);

class Failure : public Error {
  public:
    Failure(FailureKind kind, const std::string& message, std::string report = {})
        : Error(message), kind_(kind), report_(std::move(report)) {}

    FailureKind kind() const { return kind_; }
    // Registers and backtrace of a crash, several lines; else empty.
    const std::string& report() const { return report_; }

  private:
    FailureKind kind_;
    std::string report_;
};

// The failure of a request whose guest stopped in another way than with an answer.
Failure failure_for(const Stop& stop);

}  // namespace tinykvm::host
