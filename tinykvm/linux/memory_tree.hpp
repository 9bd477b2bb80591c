// The names of a guest's in-memory files: directories, files, links and what stat says of them. The data of files is in
// guest memory (FileMemory), under the same numbers.
//
// A plain value, part of ProcessState; copies share the inodes that are alike. It begins with one directory for each
// mount, whose number is that of the mount. Errors are negative errno values. Thread safety: one owner at a time.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// An entry's name, ordered by its hash, which is also the entry's position in a listing: so entries that come and go
// while a directory is listed move no others.
struct EntryName {
    std::uint64_t position = 0;
    std::string name;

    explicit EntryName(std::string_view text);
    bool operator==(const EntryName&) const = default;
    bool operator<(const EntryName& other) const {
        return std::tie(position, name) < std::tie(other.position, other.name);
    }
    static constexpr std::uint64_t first_position = 2;  // after "." and ".."
};

struct MemoryInode {
    mode_t mode = 0;  // type and permissions
    std::uint32_t user = 0, group = 0;
    std::uint32_t links = 0;    // names; of a directory as Linux counts them
    std::uint32_t mount = 0;    // the number of the mount's root
    FileId parent = 0;          // of a directory
    bool may_be_linked = true;  // false: O_TMPFILE with O_EXCL, or a memfd
    int seals = 1;              // F_SEAL_...; no more can be added (F_SEAL_SEAL), but to a memfd
    timespec accessed{}, modified{}, changed{}, created{};
    std::string target;                   // of a symbolic link
    std::map<EntryName, FileId> entries;  // of a directory

    bool is_directory() const { return S_ISDIR(mode); }
    bool is_link() const { return S_ISLNK(mode); }
    bool is_file() const { return S_ISREG(mode); }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(mode, user, group, links, mount, parent, may_be_linked, seals, accessed, modified, changed, created,
                target);
        // The place of a name follows from the name.
        std::vector<std::pair<std::string, FileId>> names;
        for (const auto& [entry, number] : entries) names.emplace_back(entry.name, number);
        archive(names);
        if constexpr (Archive::is_reading)
            for (const auto& [name, number] : names) entries.emplace(EntryName(name), number);
    }
};

class MemoryTree {
  public:
    explicit MemoryTree(std::size_t mounts = 0);

    // Null when there is no such inode.
    const MemoryInode* find(FileId number) const;
    MemoryInode& change(FileId number);
    // The first one from `number` on that has no name but is not forgotten; 0: there is none.
    FileId next_without_links(FileId number) const;
    // The inode of a name in a directory; 0: there is none.
    FileId find(FileId directory, std::string_view name) const;
    // Is `below` that directory, or in it?
    bool contains(FileId directory, FileId below) const;

    // A new inode without a name. Its links are 0, its times now.
    FileId create(mode_t mode, std::uint32_t mount);
    // Gives an inode a name, which must be free; a directory gets its parent.
    void add_name(FileId directory, std::string_view name, FileId number);
    // What a symbolic link points to.
    void set_target(FileId number, std::string target);
    // Takes a name away. The inode stays, also without links.
    void remove_name(FileId directory, std::string_view name);
    // Forgets an inode that has no links.
    void forget(FileId number);

    // Roughly what it takes of the host's memory; bytes.
    std::size_t host_bytes() const { return bytes_; }
    // What a name takes.
    static std::size_t bytes_of_name(std::string_view name) { return name.size() + 96; }
    static constexpr std::size_t bytes_of_inode = 320;
    std::size_t count() const { return inodes_.size() - free_.size(); }

    template <typename Archive>
    void archive(Archive& archive) {
        archive(inodes_, free_, bytes_);
    }
    // Why the tree cannot be: a name leads nowhere, a directory is in itself, and the like. Empty: it can be.
    std::string why_impossible(std::size_t mounts) const;

  private:
    bool has_end(FileId directory, std::vector<bool>& known) const;

    std::vector<std::shared_ptr<MemoryInode>> inodes_;  // by number - 1; null: free
    std::vector<FileId> free_;
    std::size_t bytes_ = 0;
};

timespec time_now();

}  // namespace tinykvm::linux_abi
