// An open file description: what descriptors made from one another by dup() share.
//
// A plain value. What a kind of file (file_kind.hpp) has to remember is a member here, so copying a table of
// descriptors copies it, too. Copies share only HostFile objects and generated texts, which never change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tinykvm/linux/file_kind.hpp"
#include "tinykvm/linux/host_file.hpp"
#include "tinykvm/linux/socket_table.hpp"
#include "tinykvm/linux/timer.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::linux_abi {

// What is registered with an epoll.
struct PolledFile {
    int fd = 0;
    std::uint64_t serial = 0;  // OpenFile::serial of the file it was registered for
    std::uint32_t events = 0;  // EPOLLIN...
    bool disabled = false;     // EPOLLONESHOT was asked for, and the file was reported
    std::uint64_t data = 0;
    std::uint64_t changes_seen = 0;  // FileTable::changes() of the file, when it was reported last: for EPOLLET

    template <typename Archive>
    void archive(Archive& archive) {
        archive(fd, serial, events, disabled, data, changes_seen);
    }
};

struct OpenFile {
    static constexpr std::uint32_t no_socket = ~std::uint32_t{0};

    const FileKind* kind = &kinds::null;  // never null
    bool writable = false;                // the path rule it was found by lets the guest change it
    bool semaphore = false;               // EFD_SEMAPHORE, of kinds::event
    bool is_directory = false;            // of kinds::directory and kinds::path
    int flags = 0;                        // access mode and status flags as F_GETFL shows them
    int output_fd = 0;                    // of kinds::output: 1 or 2
    int owner = 0;                        // F_SETOWN: which process or, if negative, group is told of events
    // FileTable's numbers of the pipes it reads from and writes to, or no_pipe. A pipe's ends have that pipe in both.
    std::uint32_t incoming = no_pipe, outgoing = no_pipe;
    std::uint32_t socket = no_socket;  // SocketTable's number, of a socket
    std::uint64_t offset = 0;          // the position; in a directory that in the listing
    // Of kinds::event its value, of kinds::timer the expirations that were not read, of kinds::signals the set.
    std::uint64_t counter = 0;
    Timer timer{};                         // of kinds::timer
    int clock = 0;                         // of kinds::timer: the one it was made for
    FileId inode = 0;                      // of an in-memory file or directory; 0: it is none
    std::uint64_t serial = 0;              // no other file of the table has or had it
    std::uint64_t changes = 1;             // FileTable::changes() of the file itself
    std::vector<PolledFile> polled;        // of kinds::epoll
    std::shared_ptr<const HostFile> host;  // null when it is not a file of the host
    // The same file once more, opened for appending, when the guest asked for that and it was possible.
    std::shared_ptr<const HostFile> appending;
    std::shared_ptr<const HostFile> locks;    // holds this description's locks (host_locks.hpp); null: none yet
    std::shared_ptr<const std::string> text;  // of kinds::text
    std::string path;                         // in the guest's file system; empty for what has no name

    bool has_pipes() const { return incoming != no_pipe; }
    bool is_socket() const { return socket != no_socket; }
    bool readable() const { return (flags & 3) == 0 || (flags & 3) == 2; }  // O_RDONLY, O_RDWR
    bool writes() const { return (flags & 3) == 1 || (flags & 3) == 2; }    // O_WRONLY, O_RDWR
    // Is it not to wait for data or room (O_NONBLOCK)?
    bool non_blocking() const;

    // Bytes of a regular file, as of now, or of a text; -errno. Other kinds have no size.
    std::int64_t size() const;
    // Bytes from the position to the end; -errno. For kinds with a size.
    std::int64_t bytes_left() const;
    // lseek in a file that has a size.
    std::int64_t move_to(std::int64_t distance, int whence);

    // All but the files of the host (cold/host_files.hpp).
    template <typename Archive>
    void archive(Archive& archive) {
        std::uint32_t number = number_of(kind);
        archive(number);
        if constexpr (Archive::is_reading) {
            kind = kind_at(number);
            archive.require(kind != nullptr, "an unknown kind of file");
        }
        archive(writable, semaphore, is_directory, flags, output_fd, owner, incoming, outgoing, socket, offset, counter,
                timer, clock, inode, serial, changes, polled, text, path);
    }
};

}  // namespace tinykvm::linux_abi
