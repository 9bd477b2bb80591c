// The tasks of a storage that have still to run, and when.
//
// A task that is due late, because the storage was busy, runs once and not once for each time it has missed.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

#include "src/calls/storage.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

class StorageTasks {
  public:
    // The task's number, or a negative errno: -EAGAIN when there are too many already, or they have too much data.
    long add(StorageTask task, Clock::time_point now);
    bool remove(long number);

    // When the next one is due; nullopt: there is none.
    std::optional<Clock::time_point> next() const;
    // The one that is due longest. A periodic one stays.
    std::optional<StorageTask> take_due(Clock::time_point now);

    std::size_t size() const { return tasks_.size(); }
    std::size_t count_due(Clock::time_point now) const;

  private:
    struct Entry {
        StorageTask task;
        Clock::time_point due;
    };
    std::map<long, Entry>::const_iterator first() const;

    std::map<long, Entry> tasks_;  // by their numbers
    std::size_t bytes_ = 0;        // of their data
    long last_number_ = 0;
};

}  // namespace tinykvm::host
