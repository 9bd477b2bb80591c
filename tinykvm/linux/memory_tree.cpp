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

}  // namespace tinykvm::linux_abi
