// In-memory files: what is in /tmp, /dev/shm and the directories of Options::writable_memory, and what memfd_create
// makes.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/kept_file.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

// How long a lock is waited for before it is tried again.
constexpr auto pause = std::chrono::milliseconds(2);

std::int64_t read_file(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t* position) {
    std::uint64_t& offset = position ? *position : file.offset;
    if (offset > max_offset - total_size(ranges)) return -EINVAL;
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        std::size_t done = 0;
        while (done < piece.size()) {
            const auto bytes = call.memory.files().readable(file.inode, offset, piece.size() - done);
            if (bytes.empty()) break;
            std::memmove(piece.data() + done, bytes.data(), bytes.size());  // the piece may be a mapping of the file
            done += bytes.size();
            offset += bytes.size();
        }
        return static_cast<std::int64_t>(done);
    });
}

std::int64_t write_file(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t* position) {
    FileMemory& files = call.memory.files();
    const int seals = call.state.memory_tree->find(file.inode)->seals;
    if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) return -EPERM;
    if (total_size(ranges) == 0) return 0;
    std::uint64_t& offset = position ? *position : file.offset;
    if (offset > max_offset - total_size(ranges)) return -EINVAL;
    if (file.flags & O_APPEND) offset = files.size(file.inode);
    if (offset >= max_offset) return -EFBIG;
    const std::int64_t result = drain_guest(call, ranges, [&](std::span<const std::byte> piece) -> std::int64_t {
        const std::size_t size = std::min<std::uint64_t>(piece.size(), max_offset - offset);
        std::size_t done = 0;
        while (done < size) {
            std::span<std::byte> to;
            const std::uint64_t in_page = std::min<std::uint64_t>(size - done, page_size - offset % page_size);
            const bool grows = offset + in_page > files.size(file.inode);
            const int error = grows && (seals & F_SEAL_GROW)
                                  ? -EPERM
                                  : files.writable(file.inode, offset, seals & F_SEAL_GROW ? in_page : size - done, to);
            if (error != 0) {
                if (done == 0) return error;
                break;
            }
            std::memmove(to.data(), piece.data() + done, to.size());
            done += to.size();
            offset += to.size();
            if (offset > files.size(file.inode)) files.resize(file.inode, offset);
        }
        return static_cast<std::int64_t>(done);
    });
    if (result > 0) note_written(call, file.inode);
    return result;
}

std::int64_t seek(const SyscallContext& call, OpenFile& file, std::int64_t distance, int whence) {
    const FileMemory& files = call.memory.files();
    const auto end = static_cast<std::int64_t>(files.size(file.inode));
    std::int64_t position = 0;
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        if (distance < 0 || distance >= end) return -ENXIO;
        const auto from = static_cast<std::uint64_t>(distance);
        const auto data = files.find_data(file.inode, from);
        if (whence == SEEK_DATA && !data) return -ENXIO;
        position = static_cast<std::int64_t>(whence == SEEK_DATA ? *data : files.find_hole(file.inode, from));
    } else {
        const std::int64_t base = whence == SEEK_SET   ? 0
                                  : whence == SEEK_END ? end
                                                       : static_cast<std::int64_t>(file.offset);
        if (__builtin_add_overflow(base, distance, &position)) return -EOVERFLOW;
        if (position < 0) return -EINVAL;
    }
    file.offset = static_cast<std::uint64_t>(position);
    return position;
}

int status(const SyscallContext& call, const OpenFile& file, struct stat& status) {
    status = memory_status(call, file.inode);
    return 0;
}

std::int64_t available(const SyscallContext& call, const OpenFile& file) {
    const std::uint64_t size = call.memory.files().size(file.inode);
    return static_cast<std::int64_t>(size - std::min(size, file.offset));
}

std::int64_t sync(SyscallContext& call, const OpenFile& file) {
    return is_kept_file(call, file.inode) ? save_kept_file(call) : 0;
}

std::int64_t truncate(SyscallContext& call, OpenFile& file, std::int64_t length) {
    return truncate_memory_file(call, file.inode, length);
}

std::int64_t allocate(SyscallContext& call, OpenFile& file, int mode, std::int64_t offset, std::int64_t length) {
    FileMemory& files = call.memory.files();
    const int seals = call.state.memory_tree->find(file.inode)->seals;
    std::int64_t last = 0;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return -EOPNOTSUPP;
    if (__builtin_add_overflow(offset, length, &last)) return -EFBIG;
    const auto begin = static_cast<std::uint64_t>(offset), end = static_cast<std::uint64_t>(last);
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        if (!(mode & FALLOC_FL_KEEP_SIZE)) return -EOPNOTSUPP;
        if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) return -EPERM;
        files.make_hole(file.inode, begin, end);
    } else {
        const bool grows = !(mode & FALLOC_FL_KEEP_SIZE) && end > files.size(file.inode);
        if ((seals & F_SEAL_GROW) && end > files.size(file.inode)) return -EPERM;
        if (const int error = files.allocate(file.inode, begin, end)) return error;
        if (grows) files.resize(file.inode, end);
    }
    note_written(call, file.inode);
    return 0;
}

bool waits(int command) { return command == F_SETLKW || command == F_OFD_SETLKW; }

// The bytes that a struct flock names. Returns 0 or a negative errno.
int lock_bytes(const SyscallContext& call, const OpenFile& file, const struct flock& lock, FileLocks::Lock& wanted) {
    const auto size = static_cast<std::int64_t>(call.memory.files().size(file.inode));
    const std::int64_t base = lock.l_whence == SEEK_SET   ? 0
                              : lock.l_whence == SEEK_END ? size
                                                          : static_cast<std::int64_t>(file.offset);
    std::int64_t begin = 0, end = 0;
    if (__builtin_add_overflow(base, lock.l_start, &begin)) return -EOVERFLOW;
    if (begin < 0) return -EINVAL;
    if (__builtin_add_overflow(begin, lock.l_len, &end)) return -EOVERFLOW;
    if (lock.l_len < 0) std::swap(begin, end);
    if (begin < 0) return -EINVAL;
    wanted.begin = static_cast<std::uint64_t>(begin);
    wanted.end = lock.l_len == 0 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(end);
    return 0;
}

std::int64_t lock_range(SyscallContext& call, OpenFile& file, int command, struct flock& lock) {
    FileLocks& locks = call.state.file_locks;
    const bool of_description = command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    FileLocks::Lock wanted{.inode = file.inode,
                           .owner = of_description ? file.serial : FileLocks::process,
                           .exclusive = lock.l_type == F_WRLCK};
    if (const int error = lock_bytes(call, file, lock, wanted)) return error;
    if (command == F_GETLK || command == F_OFD_GETLK) {
        const auto other = locks.conflict(wanted);
        lock.l_type = F_UNLCK;
        if (!other) return 0;
        lock.l_type = other->exclusive ? F_WRLCK : F_RDLCK;
        lock.l_whence = SEEK_SET;
        lock.l_start = static_cast<off_t>(other->begin);
        lock.l_len = other->end == ~std::uint64_t{0} ? 0 : static_cast<off_t>(other->end - other->begin);
        lock.l_pid = other->owner == FileLocks::process ? call.state.process_id : -1;
        return 0;
    }
    if (lock.l_type == F_UNLCK) return locks.clear(wanted);
    const int result = locks.set(wanted);
    if (result != -EAGAIN || !waits(command)) return result;
    return call.park({.what = Wait::For::time, .until = Clock::now() + pause});
}

std::int64_t lock_whole(SyscallContext& call, OpenFile& file, int operation) {
    const FileLocks::Lock wanted{.inode = file.inode,
                                 .owner = file.serial,
                                 .whole = true,
                                 .exclusive = (operation & LOCK_EX) != 0,
                                 .begin = 0,
                                 .end = ~std::uint64_t{0}};
    if (operation & LOCK_UN) return call.state.file_locks.clear(wanted);
    const int result = call.state.file_locks.set(wanted);
    if (result != -EAGAIN || (operation & LOCK_NB)) return result;
    return call.park({.what = Wait::For::time, .until = Clock::now() + pause});
}

}  // namespace

constinit const FileKind kinds::memory_file{.read = read_file,
                                            .write = write_file,
                                            .seek = seek,
                                            .status = status,
                                            .readiness = always_ready,
                                            .available = available,
                                            .sync = sync,
                                            .truncate = truncate,
                                            .allocate = allocate,
                                            .lock_range = lock_range,
                                            .lock_whole = lock_whole,
                                            .mapping = FileKind::Mapping::memory_file};

}  // namespace tinykvm::linux_abi
