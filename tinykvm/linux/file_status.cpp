#include "tinykvm/linux/file_status.hpp"

#include <poll.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>

namespace tinykvm::linux_abi {

namespace {

constexpr unsigned made_up_device = 1;

}  // namespace

struct stat made_up_status(mode_t mode, std::string_view name) {
    struct stat status;
    std::memset(&status, 0, sizeof status);
    std::uint64_t hash = 0xcbf29ce484222325;
    for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
    status.st_dev = made_up_device;
    status.st_ino = hash >> 16 | 1;
    status.st_mode = mode;
    status.st_nlink = S_ISDIR(mode) ? 2 : 1;
    status.st_blksize = page_size;
    return status;
}

struct stat pseudo_status(const PseudoFile& file, std::string_view path) {
    switch (file.kind) {
        case PseudoFile::Kind::device: {
            struct stat status = made_up_status(S_IFCHR | 0666, path);
            status.st_rdev = makedev(1, file.minor);
            return status;
        }
        case PseudoFile::Kind::directory: return made_up_status(S_IFDIR | 0555, path);
        case PseudoFile::Kind::link:
        case PseudoFile::Kind::descriptor: return made_up_status(S_IFLNK | 0777, path);
        case PseudoFile::Kind::text:
        case PseudoFile::Kind::none: break;  // It can be open although its thread has ended.
    }
    return made_up_status(S_IFREG | 0444, path);
}

int host_or_pseudo_status(const SyscallContext& call, const OpenFile& file, struct stat& status) {
    if (file.host) return ::fstat(file.host->fd(), &status) == 0 ? 0 : -errno;
    status = file.is_directory ? made_up_status(S_IFDIR | 0555, file.path)
                               : pseudo_status(find_pseudo_file(call.state, file.path), file.path);
    return 0;
}

short always_ready(const SyscallContext&, const OpenFile&) { return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM; }

}  // namespace tinykvm::linux_abi
