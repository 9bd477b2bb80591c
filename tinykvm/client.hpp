// A client outside of the guest, which connects to a server inside of it (Options::client), with one connection at a
// time. What it sends is its input (InputSource); the guest sees a stream socket.
//
// Implemented by what runs a guest, which owns it. Called on the thread that runs the guest, which stands still
// meanwhile; it may change between runs only, and in take(), accept() and write().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tinykvm/input_source.hpp"

namespace tinykvm {

class Client : public InputSource {
  public:
    // The number of the connection there is, above that of each one before; 0: none. The server sees those before it as
    // closed.
    virtual std::uint64_t connection() const = 0;
    // Has the server accepted it? If not, a socket of the guest that listens is ready.
    virtual bool is_accepted() const = 0;
    virtual void accept() = 0;
    // How many bytes it takes from the server now.
    virtual std::size_t room() const = 0;
    virtual void write(std::span<const std::byte> data) = 0;
    // The server sends no more: it has shut its side down, or closed the connection.
    virtual void end_output() = 0;
    // A number that grows with everything the client did that the server may wait for: a connection, more input, more
    // room. It is above all that a client of the same program had before: forks compare it with what their snapshot
    // saw.
    virtual std::uint64_t changes() const = 0;
    // Is the run to stop, after a call of the guest that gave the client something? Stop::Reason::has_output.
    virtual bool wants_turn() const = 0;
    // May the run stop (needs_input) when no thread of the guest can go on before the client does something? If not,
    // threads of the guest go on at the ends of their waits.
    virtual bool may_wait() const = 0;
    // Does it also stop when none of them waits for the client, but for a moment? Stop::wakes_at says for which.
    virtual bool may_sleep() const { return false; }

  protected:
    ~Client() = default;
};

}  // namespace tinykvm
