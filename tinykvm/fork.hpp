// A VM made from a Snapshot, for one request at a time. Life: fork -> call -> reset -> call -> ...
//
// Thread safety: one thread at a time; any thread. Holds its snapshot, owns its VM and memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "tinykvm/host_calls.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/snapshot.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class Guest;

class Fork {
  public:
    // Throws MachineError when the host is out of something.
    explicit Fork(std::shared_ptr<const Snapshot> snapshot);
    ~Fork();
    Fork(Fork&&) noexcept;
    Fork& operator=(Fork&&) noexcept;

    // Calls `function` in the guest with up to six integer arguments, on a fresh stack below the one the
    // snapshot was taken on. Returns when `calls` stops the guest, the program exits or the function returns.
    // Throws GuestFault, Timeout, OutOfMemory ("max_request_memory"), or what `calls` throws. After any of
    // them, and after every Stop, the fork can be reset.
    Stop call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
              Deadline deadline);

    // Lets the guest go on behind the host call it stopped in (in the snapshot: the one it was frozen in),
    // with `result` as the call's value. Otherwise like call().
    Stop resume(std::int64_t result, HostCalls& calls, Deadline deadline);

    // Makes the fork equal to its snapshot: memory, mappings, registers, vector state, files, everything.
    // Throws MachineError when that fails; the fork must then be destroyed (its statistics can still be read).
    void reset();

    // Guest memory between calls: requests are laid out in it, answers are taken out of it. What the host
    // writes is undone by reset() like what the guest writes.
    GuestMemory& memory();
    // A range of guest addresses nothing else uses, readable and writable, for request data; zero after reset
    // and as large as max_request_memory.
    struct Area {
        GuestAddr begin = 0;
        std::size_t size = 0;
    };
    Area request_area() const;

    const Statistics& statistics() const;
    const Snapshot& snapshot() const;

    // May be called by any thread while another one is in call() or resume(): that call ends soon with
    // Timeout("interrupted").
    void interrupt() noexcept;

  private:
    std::shared_ptr<const Snapshot> snapshot_;
    std::unique_ptr<Guest> guest_;  // null after a reset that failed
    Statistics statistics_;         // of the guest that was, while there is none
};

}  // namespace tinykvm
