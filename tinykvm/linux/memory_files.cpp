#include "tinykvm/linux/memory_files.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "tinykvm/linux/kept_file.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr off_t bytes_per_entry = 20;  // what tmpfs says of a directory's size

bool is_mapped(const SyscallContext& call, FileId inode) {
    const Regions& regions = call.memory.regions();
    return std::any_of(regions.begin(), regions.end(),
                       [inode](const auto& entry) { return entry.second.shared_file == inode; });
}

bool is_mount(const MemoryInode& inode, FileId number) { return inode.parent == number; }

}  // namespace

bool has_writable_mapping(const SyscallContext& call, FileId inode) {
    const Regions& regions = call.memory.regions();
    return std::any_of(regions.begin(), regions.end(), [inode](const auto& entry) {
        return entry.second.shared_file == inode && entry.second.protection.write;
    });
}

struct stat memory_status(const SyscallContext& call, FileId number) {
    const MemoryInode& inode = *call.state.memory_tree->find(number);
    struct stat status;
    std::memset(&status, 0, sizeof status);
    status.st_dev = makedev(0, first_memory_minor + inode.mount);
    status.st_ino = number;
    status.st_mode = inode.mode;
    status.st_nlink = inode.links;
    status.st_uid = inode.user;
    status.st_gid = inode.group;
    status.st_blksize = page_size;
    status.st_atim = inode.accessed;
    status.st_mtim = inode.modified;
    status.st_ctim = inode.changed;
    if (inode.is_directory()) {
        status.st_size = static_cast<off_t>(inode.entries.size() + 2) * bytes_per_entry;
    } else if (inode.is_link()) {
        status.st_size = static_cast<off_t>(inode.target.size());
    } else {
        status.st_size = static_cast<off_t>(call.memory.files().size(number));
        status.st_blocks = static_cast<blkcnt_t>(call.memory.files().allocated(number) / 512);
    }
    return status;
}

struct statfs memory_file_system(const SyscallContext& call) {
    const FileMemory::Room room = call.memory.files().room();
    struct statfs info;
    std::memset(&info, 0, sizeof info);
    info.f_type = TMPFS_MAGIC;
    info.f_bsize = info.f_frsize = page_size;
    info.f_blocks = room.all / page_size;
    info.f_bfree = room.free / page_size;
    info.f_bavail = room.available / page_size;
    const std::size_t inodes = call.state.memory_tree->count();
    info.f_ffree = room.available / MemoryTree::bytes_of_inode;
    info.f_files = info.f_ffree + inodes;
    info.f_namelen = max_name;
    return info;
}

bool may_access(const MemoryInode& inode, int mode) {
    const unsigned shift = inode.user == user_id ? 6 : inode.group == user_id ? 3 : 0;
    return ((inode.mode >> shift) & static_cast<unsigned>(mode)) == static_cast<unsigned>(mode);
}

int check_directory_change(const SyscallContext& call, FileId directory) {
    const MemoryInode* inode = call.state.memory_tree->find(directory);
    if (!inode || inode->links == 0) return -ENOENT;
    return may_access(*inode, W_OK | X_OK) ? 0 : -EACCES;
}

int check_room(SyscallContext& call, std::size_t bytes) {
    return call.memory.files().has_room_for_name(bytes) ? 0 : -ENOSPC;
}

void count_names(SyscallContext& call) { call.memory.files().set_names_size(call.state.memory_tree->host_bytes()); }

int make_named(SyscallContext& call, FileId directory, std::string_view name, mode_t mode, FileId& made,
               std::string_view target) {
    if (const int error = check_directory_change(call, directory)) return error;
    if (const int error =
            check_room(call, MemoryTree::bytes_of_inode + MemoryTree::bytes_of_name(name) + target.size()))
        return error;
    MemoryTree& tree = call.state.memory_tree.change();
    made = tree.create(mode, tree.find(directory)->mount);
    if (!target.empty()) tree.set_target(made, std::string(target));
    tree.add_name(directory, name, made);
    count_names(call);
    return 0;
}

int make_unnamed(SyscallContext& call, mode_t mode, std::uint32_t mount, FileId& made) {
    if (const int error = check_room(call, MemoryTree::bytes_of_inode)) return error;
    made = call.state.memory_tree.change().create(mode, mount);
    count_names(call);
    return 0;
}

void release_name(SyscallContext& call, FileId number) {
    const MemoryInode* inode = call.state.memory_tree->find(number);
    if (inode && inode->links == 0 && !is_mount(*inode, number) && !call.state.files.has_open(number) &&
        !is_mapped(call, number)) {
        if (inode->is_file()) call.memory.files().remove(number);
        call.state.memory_tree.change().forget(number);
    }
    count_names(call);
}

int release_unused_files(SyscallContext& call) {
    int error = 0;
    for (const FileTable::Closed& closed : call.state.files.take_closed()) {
        call.state.file_locks.close(closed.inode, closed.serial);
        if (closed.was_written && is_kept_file(call, closed.inode)) error = save_kept_file(call);
        const MemoryInode* inode = call.state.memory_tree->find(closed.inode);
        if (inode && inode->links == 0) release_name(call, closed.inode);
    }
    if (!call.unmapped_files) return error;
    const auto next = [&](FileId from) { return call.state.memory_tree->next_without_links(from); };
    for (FileId unused = next(1); unused != 0; unused = next(unused + 1)) release_name(call, unused);
    return error;
}

void follow_rename(SyscallContext& call, const std::string& from, const std::string& to) {
    const auto follow = [&](std::string& path) {
        if (path == from) {
            path = to.empty() ? from + " (deleted)" : to;
        } else if (!to.empty() && path.starts_with(from) && path[from.size()] == '/') {
            path.replace(0, from.size(), to);
        }
    };
    call.state.files.for_each_file([&](OpenFile& file) {
        if (file.inode != 0) follow(file.path);
    });
    follow(call.state.working_directory);
}

void note_written(SyscallContext& call, FileId number) {
    MemoryInode& inode = call.state.memory_tree.change().change(number);
    inode.modified = inode.changed = time_now();
}

std::int64_t truncate_memory_file(SyscallContext& call, FileId number, std::int64_t length) {
    const MemoryInode& inode = *call.state.memory_tree->find(number);
    FileMemory& files = call.memory.files();
    const auto size = static_cast<std::uint64_t>(length);
    if ((inode.seals & F_SEAL_GROW && size > files.size(number)) ||
        (inode.seals & F_SEAL_SHRINK && size < files.size(number)))
        return -EPERM;
    files.resize(number, size);
    note_written(call, number);
    return 0;
}

std::int64_t change_seals(SyscallContext& call, const OpenFile& file, int seals) {
    constexpr int known = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    if (file.inode == 0 || file.kind != &kinds::memory_file) return -EINVAL;
    if (!file.writes()) return -EPERM;
    if (seals & ~known) return -EINVAL;
    const MemoryInode& inode = *call.state.memory_tree->find(file.inode);
    if (inode.seals & F_SEAL_SEAL) return -EPERM;
    if ((seals & F_SEAL_WRITE) && !(inode.seals & F_SEAL_WRITE) && has_writable_mapping(call, file.inode))
        return -EBUSY;
    call.state.memory_tree.change().change(file.inode).seals |= seals;
    return 0;
}

std::int64_t get_seals(const SyscallContext& call, const OpenFile& file) {
    if (file.inode == 0 || file.kind != &kinds::memory_file) return -EINVAL;
    return call.state.memory_tree->find(file.inode)->seals;
}

}  // namespace tinykvm::linux_abi
