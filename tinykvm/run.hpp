// What running a guest gives and needs, whether it is a Machine or a Fork that runs. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "tinykvm/types.hpp"

namespace tinykvm {

// Why a run came to an end without an error.
struct Stop {
    enum class Reason {
        host_call,    // HostCalls said stop
        exited,       // the program ended; exit_status is what it said
        returned,     // the called function returned (of calls only)
        at_entry,     // the program's own code begins now (Options::stop_at_entry)
        needs_input,  // no thread can go on before Options::input or Options::client has more
        has_output,   // the guest gave Options::client something, which wants its turn now
    };
    Reason reason = Reason::exited;
    int exit_status = 0;
    std::array<std::uint64_t, 2> values{};  // of a function that returned: RAX and RDX
    // With needs_input: when a thread can go on although nothing has come, because its wait ends or a timer expires.
    std::optional<Clock::time_point> wakes_at = std::nullopt;
};

// A range of guest addresses nothing else uses, readable and writable, for the data of requests.
struct RequestArea {
    GuestAddr begin = 0;
    std::size_t size = 0;  // bytes: max_request_memory, rounded up to 2 MiB

    template <typename Archive>
    void archive(Archive& archive) {
        archive(begin, size);
    }
};

// Where variables of the environment can be written before a program runs. The first pointer stays, and what it points
// at with its zero at the end; the others may point at texts that are written after that.
struct EnvironmentPlaces {
    GuestAddr pointers = 0;
    std::size_t slots = 0;
    GuestAddr text = 0;
    std::size_t room = 0;  // bytes of text, the first one's among them

    template <typename Archive>
    void archive(Archive& archive) {
        archive(pointers, slots, text, room);
    }
};

// What a guest that was entered ahead of its call waits for: the call of a function, or the result of the host call it
// stands in.
enum class Awaits { call, result };

}  // namespace tinykvm
