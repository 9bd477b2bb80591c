// Every call of the guest interface: its number, its name, what answers it, and when it is allowed.
#pragma once

#include <cstdint>

#include "src/calls/guest_calls.hpp"

namespace tinykvm::host {

struct CallTable {
    // When a call makes sense.
    enum When : unsigned { boot = 1, request = 2, returning = 4, streaming = 8, storage = 16, always = 31 };

    struct Entry {
        std::uint32_t number;
        const char* name;
        GuestCalls::Handler handler;  // null: known, but not in this version
        unsigned when;
        bool may_wait = false;  // for another program, a server or Varnish, or for other CPUs of the VM
    };
    // Null for an unknown number.
    static const Entry* find(std::uint32_t number);
};

}  // namespace tinykvm::host
