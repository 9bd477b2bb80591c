// A thread that handles no signals: those are for the process that uses this library.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace tinykvm {

// The name is cut to what the system takes (15 bytes). `body` must not throw. Throws std::system_error when the host
// has no more threads.
std::thread start_quiet_thread(const std::string& name, std::function<void()> body);

}  // namespace tinykvm
