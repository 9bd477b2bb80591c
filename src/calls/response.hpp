// The answer of a program: checked, everything but the body copied out of the guest.
//
// Thread safety: a plain value.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "src/calls/header_edit.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

// For how long the answer may be stored, in seconds; never negative, at most ten years.
struct Cacheability {
    bool cached = false;
    double ttl = 0, grace = 0, keep = 0;
};

struct Response {
    int status = 0;                    // 200 ... 599, or 101 (Request::may_upgrade)
    std::string content_type;          // may be empty
    std::vector<std::string> headers;  // "Name: value", no framing fields; those that are not the program's own
    std::vector<HeaderChange> request_changes;   // in the order in which they were made
    std::vector<HeaderChange> response_changes;  // those of the extra part last
    std::optional<Cacheability> cacheability;    // nullopt: the program said nothing
    GuestAddr body = 0;                          // in the guest; readable as long as it stands still
    std::size_t body_size = 0;                   // unknown_size: until the program says it has no more

    // A body that the program makes piece by piece: function(argument, most, done, body_size) gives the next one.
    struct Stream {
        GuestAddr function = 0;
        std::uint64_t argument = 0;
    };
    std::optional<Stream> stream;  // instead of `body`

    static constexpr std::size_t unknown_size = std::numeric_limits<std::size_t>::max();
};

// Makes any number a time that a cache can work with: at least 0, at most ten years, and 0 for NaN.
double sane_seconds(double seconds);

// Takes the arguments of sys_backend_response: status, content type, body, extra. What may not be delivered
// is a Failure (invalid_answer) that names the argument. Framing fields among the headers are left out;
// `ignored` gets their names.
Response read_response(const GuestMemory& memory, const std::array<std::uint64_t, 6>& args,
                       std::vector<std::string>& ignored);

// Takes the arguments of begin_streaming_response: status, content type, size of the body, function, argument.
// Otherwise the same.
Response read_streaming_response(const GuestMemory& memory, const std::array<std::uint64_t, 6>& args);

}  // namespace tinykvm::host
