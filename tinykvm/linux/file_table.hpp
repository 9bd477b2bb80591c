// The descriptors of a guest process and what they refer to.
//
// The table is a plain value: copying it copies every offset, flag and pipe content, and makes no system call. The only
// things copies share are HostFile objects and generated texts, which never change. So the table of a fork can be set
// back by assignment, and nothing a fork does to its files shows in another one.
//
// Errors are negative errno values, as Linux returns them. Thread safety: one owner at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinykvm/linux/open_file.hpp"

namespace tinykvm::linux_abi {

inline constexpr std::size_t pipe_capacity = 65536;

struct Pipe {
    std::string bytes;                       // at most pipe_capacity
    std::uint32_t readers = 0, writers = 0;  // open file descriptions, not descriptors
    std::uint64_t changes = 1;               // FileTable::changes()
};

class FileTable {
  public:
    // Descriptors are numbered below `limit`.
    explicit FileTable(std::size_t limit = 256) : limit_(limit) {}

    std::size_t limit() const { return limit_; }
    void set_limit(std::size_t limit) { limit_ = limit; }

    // Null when the descriptor is not open. Valid until the table changes.
    OpenFile* find(int fd);
    const OpenFile* find(int fd) const;
    // Null when the entry's descriptor was closed, or refers to another file now.
    const OpenFile* find(const PolledFile& entry) const {
        const OpenFile* file = find(entry.fd);
        return file && file->serial == entry.serial ? file : nullptr;
    }

    // Each returns the lowest free descriptor that is not below `lowest`, or -EMFILE; duplicate() also -EBADF.
    int open(OpenFile file, bool close_on_exec, int lowest = 0);
    int duplicate(int fd, bool close_on_exec, int lowest = 0);
    // Makes `to` refer to what `from` refers to, and closes what it referred to before. Returns `to` or -EBADF.
    int duplicate_to(int from, int to, bool close_on_exec);
    // Can two files be opened?
    bool has_room_for_two() const;
    // Returns 0 or -EBADF.
    int close(int fd);
    // Closes every open descriptor in [first, last].
    void close_range(unsigned first, unsigned last);
    void set_close_on_exec_range(unsigned first, unsigned last);

    bool close_on_exec(int fd) const { return descriptors_[static_cast<std::size_t>(fd)].close_on_exec; }
    void set_close_on_exec(int fd, bool on) { descriptors_[static_cast<std::size_t>(fd)].close_on_exec = on; }

    // The number of a new pipe with one reader and one writer, for OpenFile::incoming and outgoing.
    std::uint32_t add_pipe();
    // Has to be called when a file that reads from `incoming` (writes to `outgoing`) was closed. A pipe without readers
    // and writers is removed.
    void remove_reader(const OpenFile& file);
    void remove_writer(const OpenFile& file);
    // The pipes of a file that has some.
    Pipe& incoming(const OpenFile& file) { return pipes_[file.incoming]; }
    Pipe& outgoing(const OpenFile& file) { return pipes_[file.outgoing]; }
    const Pipe& incoming(const OpenFile& file) const { return pipes_[file.incoming]; }
    const Pipe& outgoing(const OpenFile& file) const { return pipes_[file.outgoing]; }

    // Counts everything that may end a wait for a pipe or an event counter.
    std::uint64_t changes() const { return changes_; }
    void note_change() { ++changes_; }
    // The same count of one pipe or event counter.
    std::uint64_t changes(const OpenFile& file) const {
        return file.has_pipes() ? incoming(file).changes + outgoing(file).changes : file.changes;
    }
    void note_change(OpenFile& file) {
        ++changes_;
        if (!file.has_pipes()) return void(++file.changes);
        ++incoming(file).changes;
        ++outgoing(file).changes;
    }

    // Ends the locks that belong to this table alone (files/host_locks.hpp).
    void release_locks();

    std::size_t open_descriptors() const;
    // Would open() fail?
    bool full() const { return lowest_free(0) < 0; }
    // Open files of a kind.
    std::size_t count(const FileKind& kind) const;
    // Do both refer to the same description?
    bool same_description(int a, int b) const;

  private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    struct Descriptor {
        std::uint32_t file = none;  // index into files_
        bool close_on_exec = false;
    };
    struct Slot {
        OpenFile file;
        std::uint32_t references = 0;  // descriptors; 0: free
    };

    bool is_open(int fd) const;
    int lowest_free(int from) const;
    void install(int fd, std::uint32_t file, bool close_on_exec);
    std::uint32_t add_file(OpenFile file);
    void release(std::uint32_t file);
    static void drop_unused(Pipe& pipe);

    std::size_t limit_;
    std::uint64_t changes_ = 0, last_serial_ = 0;
    std::vector<Descriptor> descriptors_;
    std::vector<Slot> files_;
    std::vector<Pipe> pipes_;
};

}  // namespace tinykvm::linux_abi
