// The system calls that read and write open files. The kind of the file (file_kind.hpp) does the work.
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"
#include "tinykvm/linux/transfer.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::linux_abi {

namespace {

// May the file be read (written)? Returns 0 or a negative errno. `position`: that of pread (pwrite); null for the
// file's own.
int check_transfer(const OpenFile& file, const std::uint64_t* position, bool opened_for_it) {
    if (file.kind->transfer_error) return file.kind->transfer_error;
    if (position && !file.kind->seek) return -ESPIPE;
    return opened_for_it ? 0 : -EBADF;
}

std::int64_t read_into(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t* position) {
    if (const int error = check_transfer(file, position, file.readable())) return error;
    return file.kind->read ? file.kind->read(call, file, ranges, position) : -EBADF;
}

std::int64_t write_from(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t* position) {
    if (const int error = check_transfer(file, position, file.writes())) return error;
    return file.kind->write ? file.kind->write(call, file, ranges, position) : -EBADF;
}

std::int64_t plain(SyscallContext& call, FileKind::Transfer* transfer, bool positioned) {
    std::uint64_t position = call.args[3];
    if (positioned && position > max_offset) return -EINVAL;
    OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    const IoVector range{call.args[1], std::min(call.args[2], max_transfer)};
    return transfer(call, *file, IoVectors(&range, 1), positioned ? &position : nullptr);
}

std::int64_t vectored(SyscallContext& call, FileKind::Transfer* transfer, bool positioned) {
    std::uint64_t position = call.args[3];
    if (positioned && position > max_offset) return -EINVAL;
    OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    std::vector<IoVector> ranges;
    if (const int error = read_vectors(call, call.args[1], call.args[2], ranges)) return error;
    if (file->kind->empty_vectors_succeed && total_size(ranges) == 0) return 0;
    return transfer(call, *file, ranges, positioned ? &position : nullptr);
}

// preadv2 and pwritev2: position -1 is the file's own. RWF_HIPRI means nothing for files that are read through memory.
std::int64_t vectored2(SyscallContext& call, FileKind::Transfer* transfer) {
    if (call.int_arg(5) & ~RWF_HIPRI) return -EOPNOTSUPP;
    return vectored(call, transfer, call.args[3] != ~std::uint64_t{0});
}

}  // namespace

std::int64_t sys_read(SyscallContext& call) { return plain(call, read_into, false); }
std::int64_t sys_write(SyscallContext& call) { return plain(call, write_from, false); }
std::int64_t sys_pread64(SyscallContext& call) { return plain(call, read_into, true); }
std::int64_t sys_pwrite64(SyscallContext& call) { return plain(call, write_from, true); }
std::int64_t sys_readv(SyscallContext& call) { return vectored(call, read_into, false); }
std::int64_t sys_writev(SyscallContext& call) { return vectored(call, write_from, false); }
std::int64_t sys_preadv(SyscallContext& call) { return vectored(call, read_into, true); }
std::int64_t sys_pwritev(SyscallContext& call) { return vectored(call, write_from, true); }
std::int64_t sys_preadv2(SyscallContext& call) { return vectored2(call, read_into); }
std::int64_t sys_pwritev2(SyscallContext& call) { return vectored2(call, write_from); }

std::int64_t sys_lseek(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    if (!file->kind->seek) return -ESPIPE;
    const int whence = call.int_arg(2);
    if (whence < SEEK_SET || whence > SEEK_HOLE) return -EINVAL;
    return file->kind->seek(call, *file, static_cast<std::int64_t>(call.args[1]), whence);
}

}  // namespace tinykvm::linux_abi
