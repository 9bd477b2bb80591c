// A booted program, frozen: memory image, process state, registers. Immutable, shared by all its forks.
//
// Shared ownership: it lives as long as a Fork or anything else holds it. Thread safety: immutable; any thread.
#pragma once

#include <cstddef>
#include <memory>

namespace tinykvm {

struct SnapshotContents;  // tinykvm/guest/snapshot_contents.hpp

class Snapshot {
  public:
    explicit Snapshot(std::unique_ptr<const SnapshotContents> contents);
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

    const SnapshotContents& contents() const { return *contents_; }
    // Bytes of program memory the image holds (pages that are not all zero).
    std::size_t image_bytes() const;

  private:
    std::unique_ptr<const SnapshotContents> contents_;
};

}  // namespace tinykvm
