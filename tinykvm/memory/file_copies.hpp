// Copies of the files that a program's requests map, kept so that the next request need not copy them again.
//
// A mapping of the file itself would be cheaper still, but would expose host and guest to what other processes do with
// it: an access to a page that was truncated away is SIGBUS, and what is read may change from one read to the next.
//
// Thread safety: any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/os/file_stamp.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm {

// A copy of a file, which never changes.
class FileCopy {
  public:
    FileCopy(FileDescriptor file, std::size_t size) : file_(std::move(file)), size_(size) {}
    int fd() const { return file_.get(); }  // a sealed memfd
    std::size_t size() const { return size_; }

  private:
    FileDescriptor file_;
    std::size_t size_;
};

class FileCopies {
  public:
    // `most_bytes` limits all copies together, those in use and those being made included. When room is needed, copies
    // that are not in use are dropped, the least recently used first.
    explicit FileCopies(std::size_t most_bytes) : most_bytes_(most_bytes) {}

    // Returns a copy of the file as it is now. The copy is in use as long as the caller keeps the pointer; it has to
    // keep it while it maps the copy. Null when there is no room, when the file was changed a moment ago or changes
    // while it is copied, or when the host refuses. `between_pieces` is called every MiB and may throw.
    std::shared_ptr<const FileCopy> get(int fd, const std::function<void()>& between_pieces);

  private:
    class Room;
    // Differs when the file is another one or was changed.
    struct Identity {
        dev_t device;
        FileStamp stamp;

        static std::optional<Identity> of(int fd);
        bool operator==(const Identity& other) const = default;
    };
    struct Entry {
        Identity identity;
        std::shared_ptr<const FileCopy> copy;
    };

    // Makes the copy it finds the one that was used last.
    std::shared_ptr<const FileCopy> find(const Identity& identity) TINYKVM_REQUIRES(mutex_);
    bool make_room(std::size_t size) TINYKVM_REQUIRES(mutex_);

    const std::size_t most_bytes_;
    Mutex mutex_;
    std::deque<Entry> entries_ TINYKVM_GUARDED_BY(mutex_);  // the one used last at the end
    std::size_t bytes_ TINYKVM_GUARDED_BY(mutex_) = 0;      // of entries, and of copies that are being made
};

}  // namespace tinykvm
