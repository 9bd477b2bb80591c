// What a client and a server have for each other on a connection that has become one of another protocol than HTTP:
// one step of it, after which the client is looked after. The holder of the VM keeps one for the whole connection.
//
// Thread safety: a plain value.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm::host {

struct Exchange {
    // --- From the holder
    // What the client has sent, to be given only when the server has taken all before; it stays where it is until then.
    std::span<const std::byte> input;
    bool input_ends = false;  // the client sends no more, with it
    // Sends what the client takes now of these bytes, and says how much that is: to be called with what the server
    // sends, on the thread that runs it. It takes nothing while `output` has something.
    std::function<std::size_t(std::span<const std::byte>)> send;

    // --- From both: what the client did not take, filled when it is empty and emptied by who has sent it.
    std::vector<std::byte> output;

    // --- From the server
    std::size_t sent = 0;    // bytes, in this step
    bool is_taken = true;    // all input there was
    bool has_more = false;   // output that waits for `output` to be empty
    bool has_ended = false;  // it sends no more than `output`
    // It goes on only when there is more input or room for output, or at that moment. If not, it can go on at once.
    bool waits = true;
    std::optional<Clock::time_point> wakes_at;
};

}  // namespace tinykvm::host
