#include "tinykvm/os/incoming_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace tinykvm {

namespace {

[[noreturn]] void fail(int error) { throw std::system_error(error, std::system_category()); }

// Some file systems cannot, and not every folder can be opened by those who may write to it.
void sync_folder(int folder) {
    const FileDescriptor file(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (file && ::fsync(file.get()) != 0 && errno != EINVAL) fail(errno);
}

}  // namespace

std::optional<IncomingFile> IncomingFile::begin(int folder, const std::string& name) {
    constexpr int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    FileDescriptor file(::openat(folder, name.c_str(), flags, S_IRUSR | S_IWUSR));
    struct stat own {
    }, there{};
    if (!file || ::fstat(file.get(), &own) != 0) fail(errno == EISDIR ? EEXIST : errno);
    if (!S_ISREG(own.st_mode) || own.st_uid != ::geteuid() || own.st_nlink > 1) fail(EEXIST);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) fail(errno);
        return std::nullopt;
    }
    // The last one that had the lock may have given the file its place, or removed it.
    if (::fstatat(folder, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0 || there.st_ino != own.st_ino ||
        there.st_dev != own.st_dev)
        return std::nullopt;
    IncomingFile incoming(folder, name, std::move(file));
    if (::ftruncate(incoming.fd(), 0) != 0) fail(errno);
    return incoming;
}

IncomingFile::~IncomingFile() {
    if (file_) ::unlinkat(folder_, name_.c_str(), 0);
}

void IncomingFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(fd(), bytes.data(), bytes.size());
        if (size < 0 && errno != EINTR) fail(errno);
        bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    }
}

void IncomingFile::publish(const std::string& place, mode_t mode) {
    if (::fchmod(fd(), mode) != 0 || ::fsync(fd()) != 0 ||
        ::renameat(folder_, name_.c_str(), folder_, place.c_str()) != 0)
        fail(errno);
    file_ = {};
    sync_folder(folder_);
}

}  // namespace tinykvm
