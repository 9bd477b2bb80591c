// Requests that a program answers before it is frozen, so that what their answering prepares (caches, compiled code,
// memory) is there in every VM. Their responses go nowhere.
//
// Thread safety: used by the thread that boots the program.
#pragma once

#include <string>

#include "src/calls/guest_calls.hpp"
#include "src/config/config.hpp"
#include "src/http/server_connection.hpp"
#include "tinykvm/machine.hpp"

namespace tinykvm::host {

// A machine whose program waits for requests, before and afterwards. Borrows everything.
struct WarmedProgram {
    Machine& machine;
    GuestCalls& calls;
    ServerConnection* connection = nullptr;  // of a program with the protocol http
};

// `where` becomes "in warm-up request 2 of 15 (GET /)" before each one. Throws what a run throws, or Failure when a
// request is not answered or the program does not wait again.
void warm_up(const WarmedProgram& program, const Warmup& warmup, Deadline deadline, std::string& where);

}  // namespace tinykvm::host
