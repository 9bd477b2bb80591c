// The descriptors of a guest process and what they refer to.
//
// A plain value: copying it copies every offset, flag and pipe content, and makes no system call. The only
// things copies share are HostFile objects and generated texts, which never change. So a fork's table can be
// set back by assignment, and nothing a fork does to its files shows in another one.
//
// Errors are negative errno values, as Linux returns them. Thread safety: none needed, one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tinykvm/linux/host_file.hpp"

namespace tinykvm::linux_abi {

inline constexpr std::size_t pipe_capacity = 65536;

// What is registered with an epoll.
struct PolledFile {
    int fd = 0;
    std::uint64_t serial = 0;  // of the file it was registered for
    std::uint32_t events = 0;  // EPOLLIN...
    bool disabled = false;     // EPOLLONESHOT, and reported
    std::uint64_t data = 0;
    std::uint64_t changes_seen = 0;  // of the file, when it was reported last: for EPOLLET
};

// An open file description: what descriptors made from one another by dup() share.
struct OpenFile {
    enum class Kind : std::uint8_t {
        input,      // the host's standard input, or always at its end
        output,     // Options::output
        null,       // /dev/null
        zero,       // /dev/zero
        full,       // /dev/full
        random,     // /dev/random and /dev/urandom
        regular,    // a file of the host
        directory,  // a directory of the host, or one that only exists because path rules lie below it
        text,       // made when it was opened, as /proc/self/maps
        pipe_reader,
        pipe_writer,
        socket,    // one of a socketpair: reads from one pipe, writes to another
        event,     // eventfd
        poll_set,  // epoll
        path,      // opened with O_PATH: a name that can be asked about, not read
    };
    Kind kind = Kind::null;
    bool writable = false;      // the path rule it was found by lets the guest change it
    bool semaphore = false;     // EFD_SEMAPHORE
    bool is_directory = false;  // of Kind::directory and Kind::path
    int flags = 0;              // access mode and status flags as F_GETFL shows them
    int output_fd = 0;          // of Kind::output: 1 or 2
    // FileTable's numbers of the pipes it reads from and writes to; of a pipe's ends both are that pipe.
    std::uint32_t incoming = 0, outgoing = 0;
    std::uint64_t offset = 0;              // position; of directories the position in the listing
    std::uint64_t counter = 0;             // of Kind::event
    std::uint64_t serial = 0;              // no other file of the table has or had it
    std::uint64_t changes = 1;             // of Kind::event: FileTable::changes()
    std::vector<PolledFile> polled;        // of Kind::poll_set
    std::shared_ptr<const HostFile> host;  // null: not a file of the host
    // The same file once more, opened for appending, when the guest asked for that; null: not, or not
    // possible.
    std::shared_ptr<const HostFile> appending;
    std::shared_ptr<const HostFile> locks;  // holds this description's locks (locks.hpp); null: none yet
    std::shared_ptr<const std::string> text;
    std::string path;  // in the guest's namespace; empty for what has no name

    // Bytes of a regular file, as of now, or of a text; -errno.
    std::int64_t size() const;
    bool readable() const { return (flags & 3) == 0 || (flags & 3) == 2; }  // O_RDONLY, O_RDWR
    bool writes() const { return (flags & 3) == 1 || (flags & 3) == 2; }    // O_WRONLY, O_RDWR
};

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
    // Null when its descriptor was closed, or is something else now.
    const OpenFile* find(const PolledFile& entry) const {
        const OpenFile* file = find(entry.fd);
        return file && file->serial == entry.serial ? file : nullptr;
    }

    // Each returns the descriptor: the lowest free one that is not below `lowest`. EMFILE.
    int open(OpenFile file, bool close_on_exec, int lowest = 0);
    int duplicate(int fd, bool close_on_exec, int lowest = 0);
    // Makes `to` refer to what `from` refers to, closing what it referred to before. EBADF.
    int duplicate_to(int from, int to, bool close_on_exec);
    // fds[0] reads, fds[1] writes. EMFILE; nothing is opened then.
    int open_pipe(int flags, bool close_on_exec, int (&fds)[2]);
    // Each reads what the other one writes. EMFILE as above.
    int open_socket_pair(int flags, bool close_on_exec, int (&fds)[2]);
    // 0 or EBADF.
    int close(int fd);
    // Closes every open descriptor in [first, last].
    void close_range(unsigned first, unsigned last);
    void set_close_on_exec_range(unsigned first, unsigned last);

    bool close_on_exec(int fd) const { return descriptors_[static_cast<std::size_t>(fd)].close_on_exec; }
    void set_close_on_exec(int fd, bool on) { descriptors_[static_cast<std::size_t>(fd)].close_on_exec = on; }

    // The pipes of a pipe_reader, pipe_writer or socket.
    Pipe& incoming(const OpenFile& file) { return pipes_[file.incoming]; }
    Pipe& outgoing(const OpenFile& file) { return pipes_[file.outgoing]; }
    const Pipe& incoming(const OpenFile& file) const { return pipes_[file.incoming]; }
    const Pipe& outgoing(const OpenFile& file) const { return pipes_[file.outgoing]; }

    // Goes up with everything that may end a wait for a pipe or an event counter.
    std::uint64_t changes() const { return changes_; }
    void note_change() { ++changes_; }
    // The same of one pipe or event counter.
    std::uint64_t changes(const OpenFile& file) const {
        return has_pipe(file) ? incoming(file).changes + outgoing(file).changes : file.changes;
    }
    void note_change(OpenFile& file) {
        ++changes_;
        if (!has_pipe(file)) return void(++file.changes);
        ++incoming(file).changes;
        ++outgoing(file).changes;
    }

    // Ends the locks that belong to this table alone (locks.hpp).
    void release_locks();

    std::size_t open_descriptors() const;
    // Would open() fail?
    bool full() const { return lowest_free(0) < 0; }
    std::size_t count(OpenFile::Kind kind) const;
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

    static bool reads_pipe(const OpenFile& file) {
        return file.kind == OpenFile::Kind::pipe_reader || file.kind == OpenFile::Kind::socket;
    }
    static bool writes_pipe(const OpenFile& file) {
        return file.kind == OpenFile::Kind::pipe_writer || file.kind == OpenFile::Kind::socket;
    }
    static bool has_pipe(const OpenFile& file) { return reads_pipe(file) || writes_pipe(file); }
    bool has_room_for_two() const;
    // The number of a pipe with a reader and a writer.
    std::uint32_t new_pipe();
    bool is_open(int fd) const;
    int lowest_free(int from) const;
    void install(int fd, std::uint32_t file, bool close_on_exec);
    std::uint32_t add_file(OpenFile file);
    void release(std::uint32_t file);

    std::size_t limit_;
    std::uint64_t changes_ = 0, last_serial_ = 0;
    std::vector<Descriptor> descriptors_;
    std::vector<Slot> files_;
    std::vector<Pipe> pipes_;
};

}  // namespace tinykvm::linux_abi
