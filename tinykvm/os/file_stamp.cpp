#include "tinykvm/os/file_stamp.hpp"

namespace tinykvm {

namespace {

constexpr std::time_t settling_seconds = 2;

bool same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

}  // namespace

FileStamp FileStamp::of(const struct stat& status) {
    return {status.st_ino, status.st_mode, status.st_size, status.st_mtim, status.st_ctim};
}

std::optional<FileStamp> FileStamp::of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return std::nullopt;
    return of(status);
}

bool FileStamp::is_settled() const {
    const std::time_t settled = ::time(nullptr) - settling_seconds;
    return modified.tv_sec < settled && changed.tv_sec < settled;
}

bool FileStamp::operator==(const FileStamp& other) const {
    return has_contents_of(other) && mode == other.mode && same(changed, other.changed);
}

bool FileStamp::has_contents_of(const FileStamp& other) const {
    return inode == other.inode && size == other.size && same(modified, other.modified);
}

}  // namespace tinykvm
