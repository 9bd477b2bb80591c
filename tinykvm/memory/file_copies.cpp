#include "tinykvm/memory/file_copies.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace tinykvm {

namespace {

constexpr std::size_t piece = std::size_t{1} << 20;

// Null when the host refuses, or the file ends before `size`.
std::shared_ptr<const FileCopy> copy_file(int from, std::size_t size, const std::function<void()>& between_pieces) {
    FileDescriptor to(::memfd_create("tinykvm file", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!to) return nullptr;
    off_t offset = 0;
    while (static_cast<std::size_t>(offset) < size) {
        const std::size_t left = size - static_cast<std::size_t>(offset);
        const ssize_t got = ::sendfile(to.get(), from, &offset, std::min(left, piece));
        if (got == 0 || (got < 0 && errno != EINTR)) return nullptr;
        between_pieces();
    }
    if (::fcntl(to.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) return nullptr;
    return std::make_shared<const FileCopy>(std::move(to), size);
}

}  // namespace

std::optional<FileCopies::Identity> FileCopies::Identity::of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return std::nullopt;
    return Identity{status.st_dev, FileStamp::of(status)};
}

// Holds the room for a copy that is not yet an entry, and gives it back unless the copy becomes one.
class FileCopies::Room {
  public:
    Room(FileCopies& copies, std::size_t size) : copies_(copies), size_(size) {}
    ~Room() {
        const MutexLock lock(copies_.mutex_);
        copies_.bytes_ -= size_;
    }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    void belongs_to_entry() { size_ = 0; }

  private:
    FileCopies& copies_;
    std::size_t size_;
};

std::shared_ptr<const FileCopy> FileCopies::get(int fd, const std::function<void()>& between_pieces) {
    const auto before = Identity::of(fd);
    if (!before || before->stamp.size <= 0 || !before->stamp.is_settled()) return nullptr;
    const auto size = static_cast<std::size_t>(before->stamp.size);
    {
        const MutexLock lock(mutex_);
        if (auto known = find(*before)) return known;
        if (!make_room(size)) return nullptr;
    }
    Room room(*this, size);
    auto copy = copy_file(fd, size, between_pieces);
    const auto after = Identity::of(fd);
    if (!copy || !after || !(*after == *before)) return nullptr;
    const MutexLock lock(mutex_);
    if (auto known = find(*before)) return known;  // another thread was faster
    entries_.push_back({*before, copy});
    room.belongs_to_entry();
    return copy;
}

std::shared_ptr<const FileCopy> FileCopies::find(const Identity& identity) {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.identity == identity; });
    if (found == entries_.end()) return nullptr;
    std::rotate(found, found + 1, entries_.end());
    return entries_.back().copy;
}

bool FileCopies::make_room(std::size_t size) {
    if (size > most_bytes_) return false;
    while (bytes_ > most_bytes_ - size) {
        // A copy that is not in use can come into use only under the mutex.
        const auto unused = std::find_if(entries_.begin(), entries_.end(),
                                         [](const Entry& entry) { return entry.copy.use_count() == 1; });
        if (unused == entries_.end()) return false;
        bytes_ -= unused->copy->size();
        entries_.erase(unused);
    }
    bytes_ += size;
    return true;
}

}  // namespace tinykvm
