// Where the standard input of a guest comes from when its caller has it (Options::input): the body of a request, for
// example. The guest sees a pipe whose writer is the caller.
//
// Implemented by what runs a guest, which owns it. Called on the thread that runs the guest, which stands still
// meanwhile.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace tinykvm {

class InputSource {
  public:
    // The bytes that come next, valid until take(); empty at the end. nullopt: there are none yet. When no thread of
    // the guest can go on without them, the run stops with Stop::Reason::needs_input.
    virtual std::optional<std::span<const std::byte>> next() const = 0;
    // The guest has read so many of them.
    virtual void take(std::size_t bytes) = 0;

  protected:
    ~InputSource() = default;
};

}  // namespace tinykvm
