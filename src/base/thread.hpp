// A thread with a stack of known size. It blocks the signals of the process we live in, except those that its own
// faults raise. Boots and request VMs run on such threads, not on those of the server we are embedded in, whose stacks
// may be small.
//
// Thread safety: one owner. Must be joined or detached before it is destroyed, else the destructor joins.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <string>

namespace tinykvm::host {

class Thread {
  public:
    Thread() = default;
    // Throws Failure (host_error) when there are no threads left. `body` must not throw. The name is cut to what the
    // system takes (15 bytes).
    Thread(const std::string& name, std::function<void()> body);
    ~Thread();
    Thread(Thread&& other) noexcept;
    Thread& operator=(Thread&& other) noexcept;

    void join();
    void detach();

  private:
    pthread_t thread_{};
    bool running_ = false;
};

}  // namespace tinykvm::host
