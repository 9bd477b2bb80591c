// Making, removing and renaming, which is possible in memory and below writable rules. On the host no links, devices
// and other special files can be made, as other programs there might follow them.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tinykvm/linux/kept_file.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;

constexpr unsigned rename_no_replace = 1, rename_exchange = 2;  // RENAME_...

bool ends_in_dot(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    return path == "." || path.ends_with("/.");
}
bool ends_in_dots(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    return path == ".." || path.ends_with("/..");
}

// May the name be removed or given to something else? Returns 0 or a negative errno.
int check_name(const SyscallContext& call, const Location& found) {
    if (is_pseudo_path(found.path) && !found.rule && !found.in_memory()) return -EPERM;
    if (call.state.file_system->is_rule_root(found.path)) return -EBUSY;
    return found.writable() ? 0 : -EROFS;
}

std::int64_t remove_in_memory(SyscallContext& call, const Location& found) {
    if (const int error = check_directory_change(call, found.parent)) return error;
    const MemoryTree& tree = *call.state.memory_tree;
    if (found.is_directory() &&
        (!tree.find(found.inode)->entries.empty() || !call.state.file_system->children(call.state, found.path).empty()))
        return -ENOTEMPTY;
    call.state.memory_tree.change().remove_name(found.parent, found.name());
    follow_rename(call, found.path, "");
    release_name(call, found.inode);
    return 0;
}

std::int64_t remove_at(SyscallContext& call, int directory, GuestAddr path, int flags) {
    const bool wants_directory = flags & AT_REMOVEDIR;
    const PathAt at = read_path_at(call, directory, path);
    if (at.error) return at.error;
    if (const int error = refuse_change(call, at)) return error;
    if (wants_directory && ends_in_dot(at.path)) return -EINVAL;
    if (wants_directory && ends_in_dots(at.path)) return -ENOTEMPTY;
    // A link to a directory is not followed, with a slash after it either.
    PathAt name = at;
    while (name.path.size() > 1 && name.path.ends_with('/')) name.path.pop_back();
    const Location found = look_up(call, name, GuestFileSystem::Last::keep_link);
    if (!found.exists()) return found.error;
    if (name.path != at.path && !found.is_directory()) return -ENOTDIR;
    if (const int error = check_name(call, found)) return error;
    if (wants_directory != found.is_directory()) return wants_directory ? -ENOTDIR : -EISDIR;
    if (found.in_memory()) return remove_in_memory(call, found);
    const GuestFileSystem::Parent parent = call.state.file_system->open_parent(found);
    if (parent.error) return parent.error;
    return ::unlinkat(parent.handle.get(), parent.name.c_str(), flags) == 0 ? 0 : -errno;
}

std::int64_t make_directory_at(SyscallContext& call, int directory, GuestAddr path, unsigned mode) {
    const PathAt at = read_path_at(call, directory, path);
    if (at.error) return at.error;
    const int refused = refuse_change(call, at, true);
    if (refused == -ENOENT) return -ENOENT;
    // EEXIST takes precedence over the error that the directory may not be made.
    const Location found = look_up(call, at, GuestFileSystem::Last::keep_link);
    if (found.exists()) return -EEXIST;
    if (found.in_memory() && found.error == -ENOENT) {
        FileId made = 0;
        return make_named(call, found.parent, found.name(), S_IFDIR | (mode & ~call.state.umask & 01777), made);
    }
    if (found.error != -ENOENT || !found.rule) return found.error == -ENOENT && refused ? refused : found.error;
    if (refused || !found.writable()) return -EROFS;
    const GuestFileSystem::Parent parent = call.state.file_system->open_parent(found);
    if (parent.error) return parent.error;
    return ::mkdirat(parent.handle.get(), parent.name.c_str(), mode & ~call.state.umask & 0777) == 0 ? 0 : -errno;
}

// May a name in memory get this source's inode, in whose place `target` is? Returns 0 or a negative errno.
int check_replacement(const SyscallContext& call, const Location& source, const Location& target) {
    const MemoryTree& tree = *call.state.memory_tree;
    if (source.is_directory() && tree.contains(source.inode, target.parent)) return -EINVAL;
    if (!target.exists()) return 0;
    if (tree.contains(target.inode, source.parent)) return -ENOTEMPTY;
    if (source.is_directory() && !target.is_directory()) return -ENOTDIR;
    if (!source.is_directory() && target.is_directory()) return -EISDIR;
    return target.is_directory() && !tree.find(target.inode)->entries.empty() ? -ENOTEMPTY : 0;
}

void exchange_in_memory(SyscallContext& call, const Location& a, const Location& b) {
    MemoryTree& tree = call.state.memory_tree.change();
    tree.remove_name(a.parent, a.name());
    tree.remove_name(b.parent, b.name());
    tree.add_name(a.parent, a.name(), b.inode);
    tree.add_name(b.parent, b.name(), a.inode);
    const std::string between = "//";  // no path begins with that
    follow_rename(call, a.path, between);
    follow_rename(call, b.path, a.path);
    follow_rename(call, between, b.path);
}

std::int64_t rename_in_memory(SyscallContext& call, const Location& source, const Location& target, unsigned flags) {
    if (!source.in_memory() || !target.in_memory()) return -EXDEV;
    MemoryTree& tree = call.state.memory_tree.change();
    if (tree.find(source.parent)->mount != tree.find(target.parent)->mount) return -EXDEV;
    for (const FileId parent : {source.parent, target.parent})
        if (const int error = check_directory_change(call, parent)) return error;
    if ((flags & rename_no_replace) && target.exists()) return -EEXIST;
    if (source.inode == target.inode) return 0;
    if (flags & rename_exchange) {
        if (!target.exists()) return -ENOENT;
        if (tree.contains(source.inode, target.parent) || tree.contains(target.inode, source.parent)) return -EINVAL;
        exchange_in_memory(call, source, target);
        return 0;
    }
    if (const int error = check_replacement(call, source, target)) return error;
    if (const int error = check_room(call, MemoryTree::bytes_of_name(target.name()))) return error;
    if (target.exists()) {
        tree.remove_name(target.parent, target.name());
        follow_rename(call, target.path, "");
    }
    tree.remove_name(source.parent, source.name());
    tree.add_name(target.parent, target.name(), source.inode);
    follow_rename(call, source.path, target.path);
    release_name(call, target.inode);
    return 0;
}

std::int64_t rename_at(SyscallContext& call, int from_directory, GuestAddr from_path, int to_directory,
                       GuestAddr to_path, unsigned flags) {
    if ((flags & ~(rename_no_replace | rename_exchange)) || flags == (rename_no_replace | rename_exchange))
        return -EINVAL;
    const PathAt from = read_path_at(call, from_directory, from_path), to = read_path_at(call, to_directory, to_path);
    if (from.error || to.error) return from.error ? from.error : to.error;
    for (const PathAt* at : {&from, &to}) {
        if (const int error = refuse_change(call, *at, at == &to)) return error;
        if (ends_in_dot(at->path) || ends_in_dots(at->path)) return -EBUSY;
    }
    const GuestFileSystem& paths = *call.state.file_system;
    const Location source = look_up(call, from, GuestFileSystem::Last::keep_link);
    const Location target = look_up(call, to, GuestFileSystem::Last::keep_link);
    if (!source.exists()) return source.error;
    if (!target.exists() && (target.error != -ENOENT || !(target.rule || target.in_memory()))) return target.error;
    for (const Location* location : {&source, &target})
        if (const int error = check_name(call, *location)) return error;
    if (target.ended_with_slash && !source.is_directory()) return -ENOTDIR;
    if (source.in_memory() || target.in_memory()) {
        const std::int64_t result = rename_in_memory(call, source, target, flags);
        const bool names_kept = is_kept_file(call, source.inode) || is_kept_file(call, target.inode);
        return result == 0 && names_kept ? save_kept_file(call) : result;
    }

    const GuestFileSystem::Parent old_parent = paths.open_parent(source), new_parent = paths.open_parent(target);
    if (old_parent.error || new_parent.error) return old_parent.error ? old_parent.error : new_parent.error;
    return ::syscall(SYS_renameat2, old_parent.handle.get(), old_parent.name.c_str(), new_parent.handle.get(),
                     new_parent.name.c_str(), flags) == 0
               ? 0
               : -errno;
}

// Where a name is to be made that must not exist yet. Returns 0 or a negative errno, which is -EPERM where the host
// would have to make a link or a special file.
int find_new_name(const SyscallContext& call, const PathAt& at, Location& found) {
    if (at.error) return at.error;
    if (const int error = refuse_change(call, at, true)) return error;
    found = look_up(call, at, GuestFileSystem::Last::keep_link);
    if (found.exists()) return -EEXIST;
    if (found.error != -ENOENT) return found.error;
    if (!found.in_memory()) return found.writable() ? -EPERM : -ENOENT;
    return found.ended_with_slash ? -ENOENT : 0;
}

std::int64_t link_at(SyscallContext& call, int from_directory, GuestAddr from_path, int to_directory, GuestAddr to_path,
                     int flags) {
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return -EINVAL;
    const PathAt from = read_path_at(call, from_directory, from_path, flags & AT_EMPTY_PATH);
    if (from.error) return from.error;
    FileId number = from.self ? from.self->inode : 0;
    if (!from.self) {
        const bool follow = flags & AT_SYMLINK_FOLLOW;
        const Location source =
            look_up(call, from, follow ? GuestFileSystem::Last::follow : GuestFileSystem::Last::keep_link);
        if (!source.exists()) return source.error;
        number = source.inode;
        if (follow && source.file.kind == PseudoFile::Kind::descriptor)
            number = call.state.files.find(source.file.number)->inode;
    }
    Location target;
    if (const int error = find_new_name(call, read_path_at(call, to_directory, to_path), target)) return error;
    const MemoryInode* inode = call.state.memory_tree->find(number);
    if (!inode || inode->mount != call.state.memory_tree->find(target.parent)->mount) return -EXDEV;
    if (inode->is_directory()) return -EPERM;
    if (inode->links == 0 && !inode->may_be_linked) return -ENOENT;
    if (const int error = check_directory_change(call, target.parent)) return error;
    if (const int error = check_room(call, MemoryTree::bytes_of_name(target.name()))) return error;
    call.state.memory_tree.change().add_name(target.parent, target.name(), number);
    count_names(call);
    return 0;
}

std::int64_t symlink_at(SyscallContext& call, GuestAddr target_address, int directory, GuestAddr path) {
    const PathArgument points_to = read_path(call, target_address);
    if (points_to.error) return points_to.error;
    if (points_to.path.empty()) return -ENOENT;
    Location found;
    if (const int error = find_new_name(call, read_path_at(call, directory, path), found)) return error;
    FileId made = 0;
    return make_named(call, found.parent, found.name(), S_IFLNK | 0777, made, points_to.path);
}

// Regular files only: there are neither devices nor FIFOs with names.
std::int64_t make_node_at(SyscallContext& call, int directory, GuestAddr path, mode_t mode) {
    Location found;
    if (const int error = find_new_name(call, read_path_at(call, directory, path), found)) return error;
    if ((mode & S_IFMT) != 0 && !S_ISREG(mode)) return -EPERM;
    FileId made = 0;
    return make_named(call, found.parent, found.name(), S_IFREG | (mode & ~call.state.umask & 07777), made);
}

}  // namespace

std::int64_t sys_unlink(SyscallContext& call) { return remove_at(call, AT_FDCWD, call.args[0], 0); }
std::int64_t sys_rmdir(SyscallContext& call) { return remove_at(call, AT_FDCWD, call.args[0], AT_REMOVEDIR); }
std::int64_t sys_unlinkat(SyscallContext& call) {
    if (call.int_arg(2) & ~AT_REMOVEDIR) return -EINVAL;
    return remove_at(call, call.int_arg(0), call.args[1], call.int_arg(2));
}

std::int64_t sys_mkdir(SyscallContext& call) {
    return make_directory_at(call, AT_FDCWD, call.args[0], static_cast<unsigned>(call.args[1]));
}
std::int64_t sys_mkdirat(SyscallContext& call) {
    return make_directory_at(call, call.int_arg(0), call.args[1], static_cast<unsigned>(call.args[2]));
}

std::int64_t sys_rename(SyscallContext& call) {
    return rename_at(call, AT_FDCWD, call.args[0], AT_FDCWD, call.args[1], 0);
}
std::int64_t sys_renameat(SyscallContext& call) {
    return rename_at(call, call.int_arg(0), call.args[1], call.int_arg(2), call.args[3], 0);
}
std::int64_t sys_renameat2(SyscallContext& call) {
    return rename_at(call, call.int_arg(0), call.args[1], call.int_arg(2), call.args[3],
                     static_cast<unsigned>(call.args[4]));
}

std::int64_t sys_link(SyscallContext& call) { return link_at(call, AT_FDCWD, call.args[0], AT_FDCWD, call.args[1], 0); }
std::int64_t sys_linkat(SyscallContext& call) {
    return link_at(call, call.int_arg(0), call.args[1], call.int_arg(2), call.args[3], call.int_arg(4));
}
std::int64_t sys_symlink(SyscallContext& call) { return symlink_at(call, call.args[0], AT_FDCWD, call.args[1]); }
std::int64_t sys_symlinkat(SyscallContext& call) {
    return symlink_at(call, call.args[0], call.int_arg(1), call.args[2]);
}
std::int64_t sys_mknod(SyscallContext& call) {
    return make_node_at(call, AT_FDCWD, call.args[0], static_cast<mode_t>(call.args[1]));
}
std::int64_t sys_mknodat(SyscallContext& call) {
    return make_node_at(call, call.int_arg(0), call.args[1], static_cast<mode_t>(call.args[2]));
}

}  // namespace tinykvm::linux_abi
