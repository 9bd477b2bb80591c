#include "tinykvm/linux/memory_file_access.hpp"

#include <cerrno>
#include <cstring>

#include "tinykvm/linux/guest_file_system.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;

// Finds the in-memory file of a path, or the directory it can be made in. Returns 0 or a negative errno.
int find_file(const ProcessState& state, const std::string& path, Location& found) {
    found = state.file_system->resolve(state, "/", path, GuestFileSystem::Last::follow);
    if (found.exists() && found.is_directory()) return -EISDIR;
    if (!found.in_memory()) return found.exists() || found.error == -ENOENT ? -EROFS : found.error;
    return found.exists() || found.error == -ENOENT ? 0 : found.error;
}

}  // namespace

int append_to_file(GuestMemory& memory, ProcessState& state, const std::string& path,
                   std::span<const std::byte> bytes) {
    Location found;
    if (const int error = find_file(state, path, found)) return error;
    FileMemory& files = memory.files();
    if (!found.exists()) {
        if (!files.has_room_for_name(MemoryTree::bytes_of_inode + MemoryTree::bytes_of_name(found.name())))
            return -ENOSPC;
        MemoryTree& tree = state.memory_tree.change();
        found.inode = tree.create(S_IFREG | 0644, tree.find(found.parent)->mount);
        tree.add_name(found.parent, found.name(), found.inode);
        files.set_names_size(tree.host_bytes());
    }
    while (!bytes.empty()) {
        std::span<std::byte> piece;
        const std::uint64_t end = files.size(found.inode);
        if (const int error = files.writable(found.inode, end, bytes.size(), piece)) return error;
        std::memcpy(piece.data(), bytes.data(), piece.size());
        files.resize(found.inode, end + piece.size());
        bytes = bytes.subspan(piece.size());
    }
    return 0;
}

int read_file(const GuestMemory& memory, const ProcessState& state, const std::string& path, std::size_t most,
              std::vector<std::byte>& bytes) {
    Location found;
    if (const int error = find_file(state, path, found)) return error;
    if (!found.exists()) return -ENOENT;
    const FileMemory& files = memory.files();
    if (files.size(found.inode) > most) return -EFBIG;
    bytes.clear();
    for (;;) {
        const auto piece = files.readable(found.inode, bytes.size(), most);
        if (piece.empty()) return 0;
        bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
}

}  // namespace tinykvm::linux_abi
