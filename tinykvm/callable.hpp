// A guest that stands still: in a host call, where it can be called, or because it needs input. It is the Machine of a
// program before that is frozen, or a fork. Code that calls programs for requests works with both.
//
// Thread safety: one thread at a time, the one that runs the guest.
#pragma once

#include <cstdint>
#include <span>

#include "tinykvm/run.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class GuestMemory;
class HostCalls;

class Callable {
  public:
    // Calls `function` in the guest with up to six integer arguments. Returns when `calls` stops the guest, the program
    // exits or the function returns. Throws GuestFault, Timeout, OutOfMemory, or what `calls` throws.
    virtual Stop call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
                      Deadline deadline) = 0;
    // Lets the program go on after the host call, with `result` as the call's value. Otherwise like call().
    virtual Stop resume(std::int64_t result, HostCalls& calls, Deadline deadline) = 0;
    // Lets a program go on that stopped with Stop::Reason::needs_input or at_entry. Otherwise like call().
    virtual Stop go_on(HostCalls& calls, Deadline deadline) = 0;
    // Where requests of such calls can be laid out, in memory().
    virtual RequestArea request_area() = 0;
    virtual GuestMemory& memory() = 0;

  protected:
    ~Callable() = default;  // objects are never deleted through this type
};

}  // namespace tinykvm
