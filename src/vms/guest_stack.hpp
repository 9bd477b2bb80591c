// A stack of known size, to run guests on threads of the server we are embedded in, whose own stacks may be small.
//
// Thread safety: one thread at a time; any thread.
#pragma once

#include <cstddef>
#include <type_traits>

#include "tinykvm/os/mapping.hpp"

namespace tinykvm::host {

class GuestStack {
  public:
    // Throws MachineError when there is no memory to be had.
    GuestStack();

    // Calls `body`, which must not throw, on this stack.
    template <typename Body>
    void run(Body&& body) {
        using Plain = std::remove_reference_t<Body>;
        call([](void* argument) { (*static_cast<Plain*>(argument))(); }, &body);
    }

  private:
    void call(void (*function)(void*), void* argument);

    Mapping stack_;
};

}  // namespace tinykvm::host
