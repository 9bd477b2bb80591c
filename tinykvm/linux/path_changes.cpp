// Making, removing and renaming, which is possible only below writable rules. Links, devices and other special files
// cannot be made, as other programs of the host might follow them.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;

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
    if (is_pseudo_path(found.path) && !found.rule) return -EPERM;
    if (call.state.file_system->is_rule_root(found.path)) return -EBUSY;
    return found.writable() ? 0 : -EROFS;
}

std::int64_t remove_at(const SyscallContext& call, int directory, GuestAddr path, int flags) {
    const bool wants_directory = flags & AT_REMOVEDIR;
    const PathAt at = read_path_at(call, directory, path);
    if (at.error) return at.error;
    if (const int error = refuse_change(call, at)) return error;
    if (wants_directory && ends_in_dot(at.path)) return -EINVAL;
    if (wants_directory && ends_in_dots(at.path)) return -ENOTEMPTY;
    const Location found = look_up(call, at, GuestFileSystem::Last::keep_link);
    if (!found.exists()) return found.error;
    if (const int error = check_name(call, found)) return error;
    if (wants_directory != found.is_directory()) return wants_directory ? -ENOTDIR : -EISDIR;
    const GuestFileSystem::Parent parent = call.state.file_system->open_parent(found);
    if (parent.error) return parent.error;
    return ::unlinkat(parent.handle.get(), parent.name.c_str(), flags) == 0 ? 0 : -errno;
}

std::int64_t make_directory_at(const SyscallContext& call, int directory, GuestAddr path, unsigned mode) {
    const PathAt at = read_path_at(call, directory, path);
    if (at.error) return at.error;
    const int refused = refuse_change(call, at);
    if (refused == -ENOENT) return -ENOENT;
    // EEXIST takes precedence over the error that the directory may not be made.
    const Location found = look_up(call, at, GuestFileSystem::Last::keep_link);
    if (found.exists()) return -EEXIST;
    if (found.error != -ENOENT || !found.rule) return found.error;
    if (refused || !found.writable()) return -EROFS;
    const GuestFileSystem::Parent parent = call.state.file_system->open_parent(found);
    if (parent.error) return parent.error;
    return ::mkdirat(parent.handle.get(), parent.name.c_str(), mode & ~call.state.umask & 0777) == 0 ? 0 : -errno;
}

std::int64_t rename_at(const SyscallContext& call, int from_directory, GuestAddr from_path, int to_directory,
                       GuestAddr to_path, unsigned flags) {
    constexpr unsigned no_replace = 1, exchange = 2;  // RENAME_...
    if ((flags & ~(no_replace | exchange)) || flags == (no_replace | exchange)) return -EINVAL;
    const PathAt from = read_path_at(call, from_directory, from_path), to = read_path_at(call, to_directory, to_path);
    if (from.error || to.error) return from.error ? from.error : to.error;
    for (const PathAt* at : {&from, &to}) {
        if (const int error = refuse_change(call, *at)) return error;
        if (ends_in_dot(at->path) || ends_in_dots(at->path)) return -EBUSY;
    }
    const GuestFileSystem& paths = *call.state.file_system;
    const Location source = look_up(call, from, GuestFileSystem::Last::keep_link);
    const Location target = look_up(call, to, GuestFileSystem::Last::keep_link);
    if (!source.exists()) return source.error;
    if (!target.exists() && (target.error != -ENOENT || !target.rule)) return target.error;
    for (const Location* location : {&source, &target})
        if (const int error = check_name(call, *location)) return error;
    if (target.ended_with_slash && !source.is_directory()) return -ENOTDIR;

    const GuestFileSystem::Parent old_parent = paths.open_parent(source), new_parent = paths.open_parent(target);
    if (old_parent.error || new_parent.error) return old_parent.error ? old_parent.error : new_parent.error;
    return ::syscall(SYS_renameat2, old_parent.handle.get(), old_parent.name.c_str(), new_parent.handle.get(),
                     new_parent.name.c_str(), flags) == 0
               ? 0
               : -errno;
}

// link, symlink and mknod fail as on a file system that has none of these.
std::int64_t refuse_at(const SyscallContext& call, int directory, GuestAddr path) {
    const PathAt at = read_path_at(call, directory, path);
    if (at.error) return at.error;
    if (const int error = refuse_change(call, at)) return error;
    return -EPERM;
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

std::int64_t sys_link(SyscallContext& call) { return refuse_at(call, AT_FDCWD, call.args[1]); }
std::int64_t sys_linkat(SyscallContext& call) { return refuse_at(call, call.int_arg(2), call.args[3]); }
std::int64_t sys_symlinkat(SyscallContext& call) { return refuse_at(call, call.int_arg(1), call.args[2]); }
std::int64_t sys_mknod(SyscallContext& call) { return refuse_at(call, AT_FDCWD, call.args[0]); }
std::int64_t sys_mknodat(SyscallContext& call) { return refuse_at(call, call.int_arg(0), call.args[1]); }

}  // namespace tinykvm::linux_abi
