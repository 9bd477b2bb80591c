// The locks of in-memory files: those of flock, and those of ranges (fcntl). No other process can hold one, so they
// matter between the open file descriptions of one.
//
// A plain value, part of ProcessState. Errors are negative errno values. Thread safety: one owner at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

class FileLocks {
  public:
    // Whose a lock is: an open file description's (OpenFile::serial), or the process's.
    using Owner = std::uint64_t;
    static constexpr Owner process = 0;

    struct Lock {
        FileId inode = 0;
        Owner owner = process;
        bool whole = false;  // of flock; these and those of ranges do not exclude each other
        bool exclusive = false;
        std::uint64_t begin = 0, end = 0;  // [begin, end)

        template <typename Archive>
        void archive(Archive& archive) {
            archive(inode, owner, whole, exclusive, begin, end);
        }
        bool operator==(const Lock&) const = default;
    };

    // A lock that excludes `wanted`.
    std::optional<Lock> conflict(const Lock& wanted) const;
    // Gives the owner this lock instead of what it has in the range. Returns 0, -EAGAIN or -ENOLCK.
    [[nodiscard]] int set(const Lock& wanted);
    // Takes what the owner has in the range of `lock`. Returns 0 or -ENOLCK.
    [[nodiscard]] int clear(const Lock& lock);
    // An open file description was closed: its locks end, and those of the process on that file.
    void close(FileId inode, Owner description);

    template <typename Archive>
    void archive(Archive& archive) {
        archive(locks_);
    }

  private:
    static constexpr std::size_t most = 4096;

    std::vector<Lock> locks_;
};

}  // namespace tinykvm::linux_abi
