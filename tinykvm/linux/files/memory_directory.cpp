// Directories of in-memory files, with what path rules add to them.
#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tinykvm/linux/directory_entries.hpp"
#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/memory_files.hpp"

namespace tinykvm::linux_abi {

namespace {

// Positions: 0 and 1 are "." and "..", then come the entries by EntryName::position, then what path rules add.
constexpr std::uint64_t rules_begin = std::uint64_t{1} << 62 | EntryName::first_position;

class Listing {
  public:
    Listing(OpenFile& file, std::span<std::byte> room) : file_(file), room_(room) {}

    // Adds an entry, after which the position is `next`. False when there is no room for it.
    bool add(std::string_view name, std::uint8_t type, std::uint64_t inode, std::uint64_t next) {
        const std::size_t size = put_entry(room_.subspan(used_), name, type, inode, next);
        if (size == 0) return false;
        used_ += size;
        file_.offset = next;
        return true;
    }
    // What getdents64 returns when an entry did not fit, or there are no more.
    std::int64_t result(bool all) const { return used_ > 0 || all ? static_cast<std::int64_t>(used_) : -EINVAL; }

  private:
    OpenFile& file_;
    std::span<std::byte> room_;
    std::size_t used_ = 0;
};

std::int64_t list(const SyscallContext& call, OpenFile& file, std::span<std::byte> room) {
    const MemoryTree& tree = *call.state.memory_tree;
    const MemoryInode& directory = *tree.find(file.inode);
    if (directory.links == 0) return -ENOENT;
    Listing listing(file, room);
    if (file.offset == 0 && !listing.add(".", DT_DIR, file.inode, 1)) return listing.result(false);
    if (file.offset == 1 && !listing.add("..", DT_DIR, directory.parent, EntryName::first_position))
        return listing.result(false);
    EntryName from("");
    from.name.clear();
    from.position = file.offset;
    const auto children = call.state.file_system->children(call.state, file.path);
    for (auto entry = directory.entries.lower_bound(from); entry != directory.entries.end(); ++entry) {
        const EntryName& name = entry->first;
        const FileId number = entry->second;
        if (std::any_of(children.begin(), children.end(), [&](const auto& c) { return c.name == name.name; })) continue;
        const auto type = static_cast<std::uint8_t>(IFTODT(tree.find(number)->mode));
        if (!listing.add(name.name, type, number, name.position + 1)) return listing.result(false);
    }
    file.offset = std::max(file.offset, rules_begin);
    for (std::size_t i = file.offset - rules_begin; i < children.size(); ++i) {
        const GuestFileSystem::Child& child = children[i];
        const std::uint8_t type = child.is_link ? DT_LNK : child.is_directory ? DT_DIR : DT_UNKNOWN;
        if (child.exists && !listing.add(child.name, type, made_up_status(0, child.name).st_ino, rules_begin + i + 1))
            return listing.result(false);
    }
    return listing.result(true);
}

int status(const SyscallContext& call, const OpenFile& file, struct stat& status) {
    status = memory_status(call, file.inode);
    return 0;
}

std::int64_t refuse_reading(SyscallContext&, OpenFile&, IoVectors, std::uint64_t*) { return -EISDIR; }

std::int64_t seek(const SyscallContext&, OpenFile& file, std::int64_t offset, int whence) {
    if (whence == SEEK_CUR && offset == 0) return static_cast<std::int64_t>(file.offset);
    if (whence != SEEK_SET || offset < 0) return -EINVAL;
    file.offset = static_cast<std::uint64_t>(offset);
    return offset;
}

}  // namespace

constinit const FileKind kinds::memory_name{
    .status = status,
    .readiness = [](const SyscallContext&, const OpenFile&) -> short { return POLLNVAL; },
    .is_name = true,
    .transfer_error = -EBADF};

constinit const FileKind kinds::memory_directory{
    .read = refuse_reading,
    .seek = seek,
    .status = status,
    .readiness = always_ready,
    .list = list,
    .sync = [](SyscallContext&, const OpenFile&) -> std::int64_t { return 0; },
    .empty_vectors_succeed = true};

}  // namespace tinykvm::linux_abi
