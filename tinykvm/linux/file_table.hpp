// The descriptors of a guest process and what they refer to.
//
// The table is a plain value: copying it copies every offset, flag and pipe content, and makes no system call. The only
// things copies share are HostFile objects and generated texts, which never change. So the table of a fork can be set
// back by assignment, and nothing a fork does to its files shows in another one.
//
// Errors are negative errno values, as Linux returns them. Thread safety: one owner at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tinykvm/linux/open_file.hpp"
#include "tinykvm/linux/socket_table.hpp"

namespace tinykvm::linux_abi {

inline constexpr std::size_t pipe_capacity = 65536;
inline constexpr std::size_t socket_capacity = 208 << 10;  // as Linux' net.core.wmem_default
inline constexpr std::size_t max_messages = 256;           // in a pipe that keeps them
// The most bytes in all pipes of a process, which are memory of the host that nothing else counts.
inline constexpr std::size_t max_piped = std::size_t{16} << 20;

// A message in a pipe between sockets that keep messages apart.
struct Message {
    std::size_t size = 0;
    SocketAddress from;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(size, from);
    }
};

struct Pipe {
    std::string bytes;  // at most `capacity`
    std::size_t capacity = pipe_capacity;
    std::uint32_t readers = 0, writers = 0;  // open file descriptions, not descriptors
    std::uint64_t changes = 1;               // FileTable::changes()
    bool shut = false;                       // by shutdown(): nothing more goes in
    std::vector<Message> messages;           // that `bytes` consist of, between such sockets

    // Can there be more to read, after what is in it?
    bool has_ended() const { return writers == 0 || shut; }
    bool takes_nothing() const { return readers == 0 || shut; }
    bool is_free() const { return readers == 0 && writers == 0; }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(bytes, capacity, readers, writers, changes, shut, messages);
    }
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
    std::uint32_t add_pipe(std::size_t capacity = pipe_capacity);
    // Can the two pipes of a connection be made that waits to be accepted? The guest can close its other side, so that
    // the number of files it can open is no limit for them.
    bool has_room_for_connection() const;
    // How many bytes go into it now.
    std::size_t room(const Pipe& pipe) const;
    // Has to be called when a file that reads from `incoming` (writes to `outgoing`) was closed. A pipe without readers
    // and writers is removed.
    void remove_reader(const OpenFile& file);
    void remove_writer(const OpenFile& file);
    Pipe& pipe(std::uint32_t number) { return pipes_[number]; }
    const Pipe& pipe(std::uint32_t number) const { return pipes_[number]; }
    // Both ends of it are gone, of which only numbers exist.
    void remove_pipe(std::uint32_t number) { pipes_[number] = Pipe{}; }
    // The pipes of a file that has some.
    Pipe& incoming(const OpenFile& file) { return pipes_[file.incoming]; }
    Pipe& outgoing(const OpenFile& file) { return pipes_[file.outgoing]; }
    const Pipe& incoming(const OpenFile& file) const { return pipes_[file.incoming]; }
    const Pipe& outgoing(const OpenFile& file) const { return pipes_[file.outgoing]; }

    // Counts everything that may end a wait for a pipe or an event counter.
    std::uint64_t changes() const { return changes_; }
    void note_change() { ++changes_; }
    // The same count of one file.
    std::uint64_t changes(const OpenFile& file) const;
    void note_change(OpenFile& file);
    // Of a socket that is not the caller's, and of one's pipes.
    void note_change(Socket& socket) {
        ++changes_;
        ++socket.changes;
    }

    // --- Sockets
    // The socket that reads from this pipe was reset by its peer (ECONNRESET).
    void reset_reader(std::uint32_t pipe);
    SocketTable& sockets() { return sockets_; }
    const SocketTable& sockets() const { return sockets_; }
    // Of a file that is one.
    Socket& socket(const OpenFile& file) { return sockets_.at(file.socket); }
    const Socket& socket(const OpenFile& file) const { return sockets_.at(file.socket); }

    // The guest sends no more on its connection with a client outside of it. When several end with one call, the last
    // one counts: only that can be the client's now.
    void end_output_to(std::uint64_t client) { ended_connection_ = std::max(ended_connection_, client); }
    // The number of the connection on which that happened since this was called before; 0: none.
    std::uint64_t take_ended_connection() { return std::exchange(ended_connection_, 0); }

    // --- Files of timers (timerfd)
    bool has_timers() const { return timers_ != 0; }
    // Counts expirations until `now`.
    void expire_timers(std::uint64_t now);
    // When the next one expires; 0: none does.
    std::uint64_t next_expiration() const;
    void thaw_timers(std::uint64_t since, std::uint64_t now);

    // A signal has come, which files of signals may now have to give.
    void note_signal();

    // --- In-memory files
    // Has an in-memory file an open file description?
    bool has_open(FileId inode) const;
    // Calls visit(file) for each open file description.
    template <typename Visit>
    void for_each_file(Visit visit) {
        for (Slot& slot : files_)
            if (slot.references != 0) visit(slot.file);
    }
    template <typename Visit>
    void for_each_file(Visit visit) const {
        for (const Slot& slot : files_)
            if (slot.references != 0) visit(slot.file);
    }
    // The open file descriptions of in-memory files that were closed since this was called last.
    struct Closed {
        FileId inode = 0;
        std::uint64_t serial = 0;
        bool was_written = false;  // it was opened for that
    };
    std::vector<Closed> take_closed() { return std::exchange(closed_, {}); }
    bool any_closed() const { return !closed_.empty(); }

    // Ends the locks that belong to this table alone (files/host_locks.hpp).
    void release_locks();

    std::size_t open_descriptors() const;
    // Would open() fail?
    bool full() const { return lowest_free(0) < 0; }
    // Open files of a kind.
    std::size_t count(const FileKind& kind) const;
    // Do both refer to the same description?
    bool same_description(int a, int b) const;

    // All but what release_locks() would end, and Closed, of which there is nothing between two calls.
    template <typename Archive>
    void archive(Archive& archive) {
        archive(limit_, changes_, last_serial_, descriptors_, files_, pipes_, sockets_, ended_connection_, timers_,
                signal_files_);
    }
    // Why the table cannot be: a descriptor refers to no file, a file to no pipe, and the like. Empty: it can be.
    std::string why_impossible() const;

  private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    struct Descriptor {
        std::uint32_t file = none;  // index into files_
        bool close_on_exec = false;

        template <typename Archive>
        void archive(Archive& archive) {
            archive(file, close_on_exec);
        }
    };
    struct Slot {
        OpenFile file;
        std::uint32_t references = 0;  // descriptors; 0: free

        template <typename Archive>
        void archive(Archive& archive) {
            archive(file, references);
        }
    };

    bool is_open(int fd) const;
    int lowest_free(int from) const;
    void install(int fd, std::uint32_t file, bool close_on_exec);
    std::uint32_t add_file(OpenFile file);
    void release(std::uint32_t file);
    void count_special(const OpenFile& file, int change);
    static void drop_unused(Pipe& pipe);
    bool is_possible(const OpenFile& file) const;

    std::size_t limit_;
    std::uint64_t changes_ = 0, last_serial_ = 0;
    std::vector<Descriptor> descriptors_;
    std::vector<Slot> files_;
    std::vector<Pipe> pipes_;
    SocketTable sockets_;
    std::uint64_t ended_connection_ = 0;
    std::uint32_t timers_ = 0, signal_files_ = 0;  // open files of kinds::timer and kinds::signals
    std::vector<Closed> closed_;
};

}  // namespace tinykvm::linux_abi
