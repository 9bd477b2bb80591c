// What a descriptor can refer to. Each kind of file is a table of operations, as Linux has struct file_operations, and
// stands in a file of its own in tinykvm/linux/files. System calls ask the table; which kind a file is, they never ask.
// A new kind is a table more (and members of OpenFile, if it has to remember something: the state of a file is a value,
// so that snapshots and forks copy it with the table of descriptors).
//
// Operations return what the system call returns: a value, or a negative errno. One that is null is not for files of
// that kind; the comment at each says what the system call answers then.
//
// Thread safety: tables are constant; operations are called by the thread that runs the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct flock;
struct stat;

namespace tinykvm::linux_abi {

class FileTable;
struct IoVector;
struct OpenFile;
struct Received;
struct SocketAddress;
struct SyscallContext;
using IoVectors = std::span<const IoVector>;

struct FileKind {
    // What mmap shows of a file.
    enum class Mapping : std::uint8_t {
        none,         // It cannot be mapped: ENODEV.
        zeros,        // Fresh memory.
        host_file,    // A copy of OpenFile::host.
        memory_file,  // The pages of OpenFile::inode, or a copy of them.
    };

    // Data goes into (comes from) ranges of guest memory. `position` is that of pread (pwrite); null means the position
    // of the file itself, which moves on. Called only when the file was opened for reading (writing). Null: EBADF.
    using Transfer = std::int64_t(SyscallContext&, OpenFile&, IoVectors, std::uint64_t* position);
    Transfer *read = nullptr, *write = nullptr;
    // recv and send, with the flags of these. `to` is null when the call names nobody. Sockets have both.
    std::int64_t (*receive)(SyscallContext&, OpenFile&, IoVectors, int flags, Received&) = nullptr;
    std::int64_t (*send)(SyscallContext&, OpenFile&, IoVectors, int flags, const SocketAddress* to) = nullptr;
    // lseek, with one of Linux' values of `whence`. Null: the file has no position; ESPIPE, also of pread and pwrite.
    std::int64_t (*seek)(const SyscallContext&, OpenFile&, std::int64_t offset, int whence) = nullptr;

    // fstat. Returns 0 or a negative errno. Every kind has it.
    int (*status)(const SyscallContext&, const OpenFile&, struct stat&) = nullptr;
    // All events (POLLIN...) a file is ready for. Every kind has it.
    short (*readiness)(const SyscallContext&, const OpenFile&) = nullptr;
    // How many bytes FIONREAD reports. Null: ENOTTY.
    std::int64_t (*available)(const SyscallContext&, const OpenFile&) = nullptr;

    // getdents64: entries from the file's position on, as many as `room` holds; bytes. Null: ENOTDIR.
    std::int64_t (*list)(const SyscallContext&, OpenFile&, std::span<std::byte> room) = nullptr;
    // fsync and fdatasync. Null: EINVAL.
    std::int64_t (*sync)(SyscallContext&, const OpenFile&) = nullptr;
    // ftruncate of a file that was opened for writing, to a length that is not negative. Null: EINVAL.
    std::int64_t (*truncate)(SyscallContext&, OpenFile&, std::int64_t length) = nullptr;
    // fallocate of a file that was opened for writing. Null: ENODEV.
    std::int64_t (*allocate)(SyscallContext&, OpenFile&, int mode, std::int64_t offset, std::int64_t length) = nullptr;
    // fcntl's locks of ranges; F_GETLK changes the lock. Null: EINVAL.
    std::int64_t (*lock_range)(SyscallContext&, OpenFile&, int command, struct flock&) = nullptr;
    // flock. Null: 0.
    std::int64_t (*lock_whole)(SyscallContext&, OpenFile&, int operation) = nullptr;

    // The last descriptor of the file was closed. Null: nothing is to be done.
    void (*close)(FileTable&, const OpenFile&) = nullptr;

    Mapping mapping = Mapping::none;
    // The file was opened with O_PATH: nearly all calls answer EBADF.
    bool is_name = false;
    // What all reading and writing returns, however the file was opened: a negative errno. 0: `read` and `write`
    // decide.
    int transfer_error = 0;
    // readv and writev of no bytes return 0 before anything is checked; read and write of no bytes do not.
    bool empty_vectors_succeed = false;
    // Can the caller make it ready, from outside of the guest? Null: no.
    bool (*awaits_caller)(const SyscallContext&, const OpenFile&) = nullptr;
    // May the file be in the set of an epoll? If not: EPERM.
    bool can_be_in_epoll = false;
    // posix_fadvise means nothing, but is allowed. If not: ESPIPE.
    bool takes_advice = true;
    // What F_GETPIPE_SZ and F_SETPIPE_SZ return. 0: EBADF.
    std::size_t pipe_capacity = 0;
};

namespace kinds {

extern const FileKind input;             // standard input: the host's, the caller's, or a file at its end
extern const FileKind output;            // Options::output
extern const FileKind null, zero, full;  // /dev/null, /dev/zero, /dev/full
extern const FileKind random;            // /dev/random and /dev/urandom
extern const FileKind regular;           // a file of the host
extern const FileKind directory;         // a directory of the host, or one that exists because path rules lie below it
extern const FileKind memory_file, memory_directory;  // in memory of the guest
extern const FileKind memory_name;                    // the same, opened with O_PATH
extern const FileKind text;                           // made when it was opened, as /proc/self/maps
extern const FileKind pipe_reader, pipe_writer;
extern const FileKind socket;
extern const FileKind client_connection;  // a socket that a client outside of the guest is connected to
extern const FileKind event;              // eventfd
extern const FileKind timer;              // timerfd
extern const FileKind signals;            // signalfd
extern const FileKind process;            // pidfd_open
extern const FileKind epoll;
extern const FileKind path;  // opened with O_PATH: a name that can be asked about, not read

}  // namespace kinds

// All kinds by a number that stays the same (in files of snapshots); null: there is none of that number.
const FileKind* kind_at(std::uint32_t number);
std::uint32_t number_of(const FileKind* kind);

}  // namespace tinykvm::linux_abi
