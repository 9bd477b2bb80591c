// A snapshot in a file: saved once, and on the next start mapped instead of booting the program. Forks of a snapshot
// that was loaded are like those of the one that was saved.
//
// The file has all that was in the program's memory, passwords and keys among it: it is made with mode 0600, and one
// that others may read or write is not loaded, nor from a folder that others may change.
//
// Not every program can be saved: not one with memory that all its VMs share, with a lock on a file of the host, or
// with a file of the host open that has no name any more.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tinykvm/cold/tag.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/program.hpp"
#include "tinykvm/snapshot.hpp"

namespace tinykvm {

class SnapshotFile {
  public:
    using Tag = cold::Tag;
    // What a file held.
    struct Loaded {
        std::shared_ptr<const Snapshot> snapshot;
        std::vector<std::byte> notes;  // the caller's
    };

    explicit SnapshotFile(std::string path) : path_(std::move(path)) {}

    // Replaces the file. The program must have booted with Options::note_files. Throws MachineError with the reason
    // when it cannot be saved, as when somebody else does it now; what was at the path stays there then.
    void save(const Snapshot& snapshot, const std::vector<Tag>& tags, const std::vector<std::byte>& notes) const;

    // `program` and `options` as when it was booted, which is compared, as are the tags and what differs between
    // machines. nullopt: there is no file. Throws MachineError with the reason why this one is of no use.
    std::optional<Loaded> load(const std::shared_ptr<const Program>& program, const Options& options,
                               const std::vector<Tag>& tags) const;

  private:
    const std::string path_;
};

}  // namespace tinykvm
