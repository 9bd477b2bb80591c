// Regular files of the host. They are read and written at positions (pread, pwrite), never through an offset of the
// host's, which forks would share.
#include <fcntl.h>
#include <unistd.h>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/files/host_locks.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

std::int64_t read_host(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t* position) {
    std::uint64_t& offset = position ? *position : file.offset;
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        const ssize_t got = ::pread(file.host->fd(), piece.data(), piece.size(), static_cast<off_t>(offset));
        if (got < 0) return -errno;
        offset += static_cast<std::uint64_t>(got);
        return got;
    });
}

std::int64_t write_host(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t* position) {
    if (!file.writable) return -EBADF;
    std::uint64_t& offset = position ? *position : file.offset;
    const bool append = file.flags & O_APPEND;
    if (!append && offset + total_size(ranges) > max_offset) return -EFBIG;
    const int fd = file.host->fd();
    const auto to_end = [&] {
        if (const std::int64_t size = append ? file.size() : -1; size >= 0) offset = static_cast<std::uint64_t>(size);
    };
    const std::int64_t result = drain_guest(call, ranges, [&](std::span<const std::byte> piece) -> std::int64_t {
        // The descriptor that forks share must not be in append mode on the host; `appending` is one that is.
        // (RWF_APPEND would do, but overlay file systems ignore it.) Without one, the present size counts as the end.
        ssize_t put = 0;
        if (append && file.appending) {
            put = ::write(file.appending->fd(), piece.data(), piece.size());
        } else {
            to_end();
            put = ::pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(offset));
        }
        if (put < 0) return -errno;
        offset += static_cast<std::uint64_t>(put);
        return put;
    });
    if (result > 0) to_end();
    return result;
}

std::int64_t seek(const SyscallContext&, OpenFile& file, std::int64_t offset, int whence) {
    return file.move_to(offset, whence);
}

std::int64_t available(const SyscallContext&, const OpenFile& file) { return file.bytes_left(); }

std::int64_t sync(SyscallContext&, const OpenFile& file) {
    if (!file.writable || !file.writes()) return 0;
    return ::fdatasync(file.host->fd()) == 0 ? 0 : -errno;
}

std::int64_t truncate_host(SyscallContext&, OpenFile& file, std::int64_t length) {
    if (!file.writable) return -EINVAL;
    return ::ftruncate(file.host->fd(), length) == 0 ? 0 : -errno;
}

std::int64_t allocate_host(SyscallContext&, OpenFile& file, int mode, std::int64_t offset, std::int64_t length) {
    if (mode & ~FALLOC_FL_KEEP_SIZE) return -EOPNOTSUPP;
    // Some file systems write every block, and nothing interrupts that. So longer requests are answered as by a file
    // system without the call; C libraries then write the blocks themselves, one by one.
    constexpr std::int64_t longest = std::int64_t{16} << 20;
    if (!file.writable) return -EBADF;
    if (length > longest) return -EOPNOTSUPP;
    return ::fallocate(file.host->fd(), mode, offset, length) == 0 ? 0 : -errno;
}

}  // namespace

constinit const FileKind kinds::regular{.read = read_host,
                                        .write = write_host,
                                        .seek = seek,
                                        .status = host_or_pseudo_status,
                                        .readiness = always_ready,
                                        .available = available,
                                        .sync = sync,
                                        .truncate = truncate_host,
                                        .allocate = allocate_host,
                                        .lock_range = lock_host_range,
                                        .lock_whole = lock_host_file,
                                        .mapping = FileKind::Mapping::host_file};

}  // namespace tinykvm::linux_abi
