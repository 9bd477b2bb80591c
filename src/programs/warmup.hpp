// Requests that a program answers before it is frozen, so that what their answering prepares (caches, compiled code,
// memory) is there in every VM. Their responses go nowhere.
//
// Thread safety: used by the thread that boots the program.
#pragma once

#include <string>

#include "src/calls/guest_calls.hpp"
#include "src/config/config.hpp"
#include "tinykvm/machine.hpp"

namespace tinykvm::host {

// `machine` waits for requests, before and afterwards. `where` becomes "in warm-up request 2 of 15 (GET /)" before each
// one. Throws what a run throws, or Failure when a request is not answered or the program does not wait again.
void warm_up(Machine& machine, GuestCalls& calls, const Warmup& warmup, Deadline deadline, std::string& where);

}  // namespace tinykvm::host
