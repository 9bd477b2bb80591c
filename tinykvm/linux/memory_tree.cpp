#include "tinykvm/linux/memory_tree.hpp"

#include "tinykvm/linux/state.hpp"

namespace tinykvm::linux_abi {

timespec time_now() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

EntryName::EntryName(std::string_view text) : name(text) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
    position = (hash >> 2) + first_position;
}

MemoryTree::MemoryTree(std::size_t mounts) {
    for (std::size_t i = 0; i < mounts; ++i) {
        const FileId root = create(S_IFDIR | S_ISVTX | 0777, static_cast<std::uint32_t>(i + 1));
        MemoryInode& inode = change(root);
        inode.user = inode.group = 0;
        inode.links = 2;
        inode.parent = root;
    }
    bytes_ = 0;
}

const MemoryInode* MemoryTree::find(FileId number) const {
    return number != 0 && number <= inodes_.size() ? inodes_[number - 1].get() : nullptr;
}

MemoryInode& MemoryTree::change(FileId number) {
    std::shared_ptr<MemoryInode>& inode = inodes_[number - 1];
    if (inode.use_count() > 1) inode = std::make_shared<MemoryInode>(*inode);
    return *inode;
}

FileId MemoryTree::find(FileId directory, std::string_view name) const {
    const MemoryInode* inode = find(directory);
    if (!inode) return 0;
    const auto entry = inode->entries.find(EntryName(name));
    return entry == inode->entries.end() ? 0 : entry->second;
}

FileId MemoryTree::next_without_links(FileId number) const {
    for (; number <= inodes_.size(); ++number)
        if (inodes_[number - 1] && inodes_[number - 1]->links == 0) return number;
    return 0;
}

bool MemoryTree::contains(FileId directory, FileId below) const {
    for (const MemoryInode* inode = find(below); inode; inode = find(below)) {
        if (below == directory) return true;
        if (inode->parent == below) return false;
        below = inode->parent;
    }
    return false;
}

FileId MemoryTree::create(mode_t mode, std::uint32_t mount) {
    auto inode = std::make_shared<MemoryInode>();
    inode->mode = mode;
    inode->user = inode->group = user_id;
    inode->mount = mount;
    inode->accessed = inode->modified = inode->changed = inode->created = time_now();
    bytes_ += bytes_of_inode;
    if (!free_.empty()) {
        const FileId number = free_.back();
        free_.pop_back();
        inodes_[number - 1] = std::move(inode);
        return number;
    }
    inodes_.push_back(std::move(inode));
    return static_cast<FileId>(inodes_.size());
}

void MemoryTree::add_name(FileId directory, std::string_view name, FileId number) {
    MemoryInode& parent = change(directory);
    parent.entries.emplace(EntryName(name), number);
    parent.modified = parent.changed = time_now();
    MemoryInode& inode = change(number);
    inode.changed = parent.changed;
    ++inode.links;
    if (inode.is_directory()) {
        ++inode.links;  // its own "."
        inode.parent = directory;
        ++parent.links;  // its ".."
    }
    bytes_ += bytes_of_name(name);
}

void MemoryTree::set_target(FileId number, std::string target) {
    bytes_ += target.size();
    change(number).target = std::move(target);
}

void MemoryTree::remove_name(FileId directory, std::string_view name) {
    MemoryInode& parent = change(directory);
    const auto entry = parent.entries.find(EntryName(name));
    const FileId number = entry->second;
    parent.entries.erase(entry);
    parent.modified = parent.changed = time_now();
    MemoryInode& inode = change(number);
    inode.changed = parent.changed;
    --inode.links;
    if (inode.is_directory()) {
        --inode.links;
        --parent.links;
    }
    bytes_ -= bytes_of_name(name);
}

void MemoryTree::forget(FileId number) {
    bytes_ -= bytes_of_inode + inodes_[number - 1]->target.size();
    inodes_[number - 1].reset();
    free_.push_back(number);
}

std::string MemoryTree::why_impossible(std::size_t mounts) const {
    constexpr const char* problem = "the names of its in-memory files are impossible";
    if (inodes_.size() < mounts) return problem;
    std::vector<std::uint32_t> names(inodes_.size()), directories(inodes_.size());
    std::size_t free = 0;
    for (FileId number = 1; number <= inodes_.size(); ++number) {
        const MemoryInode* inode = find(number);
        const bool is_root = number <= mounts;
        if (!inode) ++free;
        if (is_root && !(inode && inode->is_directory() && inode->parent == number)) return problem;
        if (!inode) continue;
        if (inode->mount > mounts || (!inode->entries.empty() && !inode->is_directory())) return problem;
        for (const auto& [name, entry] : inode->entries) {
            const MemoryInode* const named = find(entry);
            if (!named || entry <= mounts || name.name.empty() || name.name.find('/') != std::string::npos)
                return problem;
            if (++names[entry - 1] > 1 && named->is_directory()) return problem;
            if (!named->is_directory()) continue;
            ++directories[number - 1];
            if (named->parent != number) return problem;
        }
    }
    for (const FileId number : free_)
        if (number == 0 || number > inodes_.size() || find(number) || std::exchange(names[number - 1], 1) != 0)
            return problem;
    if (free != free_.size()) return problem;
    std::vector<bool> is_rooted(inodes_.size());
    for (FileId number = 1; number <= inodes_.size(); ++number) {
        const MemoryInode* inode = find(number);
        if (!inode) continue;
        const std::uint32_t named = names[number - 1] + (number <= mounts ? 1 : 0);
        if (inode->links != (inode->is_directory() ? 2 * named + directories[number - 1] : named)) return problem;
        if (inode->is_directory() && !has_end(number, is_rooted)) return problem;
    }
    return "";
}

// Does the way up from the directory come to an end? `known`: those of which that is known.
bool MemoryTree::has_end(FileId directory, std::vector<bool>& known) const {
    std::vector<FileId> way;
    for (const MemoryInode* inode = find(directory); inode && !known[directory - 1]; inode = find(directory)) {
        way.push_back(directory);
        if (way.size() > inodes_.size()) return false;
        if (inode->parent == directory) break;
        directory = inode->parent;
    }
    for (const FileId number : way) known[number - 1] = true;
    return true;
}

}  // namespace tinykvm::linux_abi
