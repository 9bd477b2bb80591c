#include "tinykvm/linux/file_locks.hpp"

#include <algorithm>
#include <cerrno>

namespace tinykvm::linux_abi {

namespace {

bool meet(const FileLocks::Lock& a, const FileLocks::Lock& b) {
    return a.inode == b.inode && a.whole == b.whole && a.begin < b.end && b.begin < a.end;
}

}  // namespace

std::optional<FileLocks::Lock> FileLocks::conflict(const Lock& wanted) const {
    const auto found = std::find_if(locks_.begin(), locks_.end(), [&](const Lock& lock) {
        return meet(lock, wanted) && lock.owner != wanted.owner && (lock.exclusive || wanted.exclusive);
    });
    return found == locks_.end() ? std::nullopt : std::optional(*found);
}

int FileLocks::set(const Lock& wanted) {
    if (conflict(wanted)) return -EAGAIN;
    if (const int error = clear(wanted)) return error;
    locks_.push_back(wanted);
    return 0;
}

int FileLocks::clear(const Lock& lock) {
    if (locks_.size() + 2 > most) return -ENOLCK;  // one in two pieces, and the new one
    std::vector<Lock> left;
    for (const Lock& other : locks_) {
        if (!meet(other, lock) || other.owner != lock.owner) {
            left.push_back(other);
            continue;
        }
        Lock piece = other;
        piece.end = lock.begin;
        if (piece.begin < piece.end) left.push_back(piece);
        piece = other;
        piece.begin = lock.end;
        if (piece.begin < piece.end) left.push_back(piece);
    }
    locks_ = std::move(left);
    return 0;
}

void FileLocks::close(FileId inode, Owner description) {
    std::erase_if(locks_, [&](const Lock& lock) {
        return lock.inode == inode && (lock.owner == description || lock.owner == process);
    });
}

}  // namespace tinykvm::linux_abi
