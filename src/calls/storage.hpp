// What a program calls that has a storage: one more VM, which outlives requests. It runs one call or task at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/fetch/wait_graph.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

using StorageBytes = std::vector<std::byte>;

struct StorageCall {
    GuestAddr function = 0;
    std::vector<StorageBytes> buffers;
    std::uint64_t room = 0;  // how much of the result its caller takes
    // When the caller gives up, and whether it has.
    Deadline deadline{};
    std::function<bool()> is_cancelled;
    WaitGraph::Id inside_of = 0;  // the self-request that the caller's request is; 0: it is none
};

// The error is 0 or an errno value: ENOMEM, EIO (it crashed, or ended the program), ETIMEDOUT, EDEADLK (the storage
// waits for the caller), EAGAIN (too many wait), ECANCELED (it ends).
struct StorageResult {
    int error = 0;
    std::size_t size = 0;  // of the whole result
    StorageBytes bytes{};  // as much of it as there was room for
    std::string why{};     // of an error, for a log
};

struct StorageTask {
    GuestAddr function = 0;
    StorageBytes data;
    std::chrono::milliseconds delay{0}, period{0};  // period 0: it runs once
};

// Thread safety: any thread.
class Storage {
  public:
    virtual ~Storage() = default;
    // May requests call the function, and begin tasks with it? They have to be asked about; the storage itself need
    // not.
    virtual bool allows(GuestAddr function) const = 0;
    // Waits for the result, at most until the call's deadline.
    virtual StorageResult call(StorageCall call) = 0;
    // Returns the task's number, above 0, or -EAGAIN when there are too many.
    virtual long begin(StorageTask task) = 0;
    // False: there is no such task, or it has run already, or runs right now for the last time.
    virtual bool stop(long task) = 0;
};

}  // namespace tinykvm::host
