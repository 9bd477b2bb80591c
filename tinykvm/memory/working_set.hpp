// The pages of its program's memory that a request writes, as far as one request can tell. Forks that are made later
// get private copies of them before their first request, with a call of the host for each range instead of a fault for
// each page (docs/design.md, "Snapshot and reset").
//
// Shared by the forks of an image. Thread safety: any thread.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "tinykvm/memory/ranges.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm {

class WorkingSet {
  public:
    using Pages = std::shared_ptr<const std::vector<PlacedRange>>;

    // The first request that is reset tells. Later ones are not asked, because a fork that exists needs no copies made.
    void learn(std::vector<PlacedRange> pages) {
        const MutexLock lock(mutex_);
        if (!pages_) pages_ = std::make_shared<const std::vector<PlacedRange>>(std::move(pages));
    }
    // Null: no request has been reset yet.
    Pages pages() const {
        const MutexLock lock(mutex_);
        return pages_;
    }

  private:
    mutable Mutex mutex_;
    Pages pages_ TINYKVM_GUARDED_BY(mutex_);
};

}  // namespace tinykvm
