// Opening files. Only regular files and directories of the host are ever opened, and only after a look at what they
// are; everything else that a path may denote exists in the guest only.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/seen_files.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;

constexpr int creation_flags = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
constexpr int large_file = 0100000;   // what F_GETFL shows of 64-bit programs; O_LARGEFILE is 0 in our headers
constexpr std::size_t max_texts = 8;  // how many generated texts may be open at a time: each is a copy that may be long

OpenFile with_path(std::string path) {
    OpenFile file;
    file.path = std::move(path);
    return file;
}

class Opening {
  public:
    Opening(SyscallContext& call, int flags, unsigned mode) : call_(call), flags_(flags), mode_(mode) {}

    std::int64_t open(const PathAt& where) {
        if (flags_ & O_PATH) flags_ &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        if ((flags_ & O_ACCMODE) == 3 || (flags_ & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) return -EINVAL;
        const bool unnamed = (flags_ & O_TMPFILE) == O_TMPFILE;
        if (unnamed && !writes()) return -EINVAL;
        if (call_.state.files.full()) return -EMFILE;
        // A change that path rules forbid is refused before the host hears of it.
        if (changes())
            if (const int error = refuse_change(call_, where, flags_ & O_CREAT)) return error;
        if (unnamed) return open_unnamed(look_up(call_, where, GuestFileSystem::Last::follow));

        const bool exclusive = (flags_ & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
        const auto last =
            exclusive || (flags_ & O_NOFOLLOW) ? GuestFileSystem::Last::keep_link : GuestFileSystem::Last::follow;
        Location found = look_up(call_, where, last);
        if (found.exists() && exclusive) return -EEXIST;
        if (!found.exists()) {
            if (!(flags_ & O_CREAT) || found.error != -ENOENT) return found.error;
            if (!found.writable()) return found.rule ? -EROFS : found.error;
            if (found.ended_with_slash) return -EISDIR;
            return found.in_memory() ? create_in_memory(found) : create(found);
        }
        return open_existing(std::move(found));
    }

  private:
    const GuestFileSystem& paths() const { return *call_.state.file_system; }
    bool writes() const { return (flags_ & O_ACCMODE) != O_RDONLY; }
    bool changes() const { return writes() || (flags_ & (O_CREAT | O_TRUNC | O_APPEND)); }

    std::int64_t install(OpenFile file) {
        file.flags = (flags_ & ~creation_flags) | (flags_ & O_PATH ? 0 : large_file);
        return call_.state.files.open(std::move(file), flags_ & O_CLOEXEC);
    }

    std::int64_t open_existing(Location found) {
        // With O_PATH a link itself is opened, but not one that only path rules make.
        const bool names_link = (flags_ & O_PATH) && (found.kind == Location::Kind::memory || found.handle);
        if (found.is_link() && !names_link) return -ELOOP;
        if ((flags_ & O_DIRECTORY) && !found.is_directory()) return -ENOTDIR;
        OpenFile file;
        file.path = found.path;
        if (found.kind == Location::Kind::pseudo) return open_pseudo(found.file, std::move(file));
        if (found.kind == Location::Kind::memory) return open_in_memory(found.inode, std::move(file));
        if (found.kind == Location::Kind::host && !found.is_link() && !found.is_directory() &&
            !S_ISREG(found.status.st_mode)) {
            call_.log("open: " + in_quotes(found.path) + " is neither a file nor a directory");
            return -EACCES;
        }
        file.is_directory = found.is_directory();
        if (flags_ & O_PATH) {
            file.kind = &kinds::path;
        } else if (found.is_directory()) {
            if (changes()) return -EISDIR;
            // May the directory be listed? The handle is only a name and does not say so.
            if (found.kind == Location::Kind::host && ::faccessat(found.handle.get(), ".", R_OK, 0) != 0) return -errno;
            file.kind = &kinds::directory;
            if (call_.state.seen_files && found.handle) call_.state.seen_files->list(found.path, found.status);
        } else {
            return open_regular(found);
        }
        if (found.handle) file.host = std::make_shared<const HostFile>(std::move(found.handle));
        return install(std::move(file));
    }

    std::int64_t open_pseudo(const PseudoFile& which, OpenFile file) {
        if (which.kind == PseudoFile::Kind::descriptor) {
            if (flags_ & O_NOFOLLOW) return -ELOOP;
            return reopen(which.number);
        }
        if (flags_ & O_PATH) {
            file.kind = &kinds::path;
        } else if (which.kind == PseudoFile::Kind::device) {
            file.kind = which.device;
        } else {
            if (changes()) return -EACCES;
            if (call_.state.files.count(kinds::text) >= max_texts) return -ENFILE;
            file.kind = &kinds::text;
            file.text = std::make_shared<const std::string>(make_text(which, call_));
        }
        return install(std::move(file));
    }

    // Opens /dev/stdout and the like. A file that has a path is opened again by it, as on Linux; when it has none, its
    // descriptor is duplicated.
    std::int64_t reopen(int fd) {
        const OpenFile* file = call_.state.files.find(fd);
        if (!file) return -ENOENT;
        if (std::exchange(reopened_, true)) return -ELOOP;
        if (file->inode != 0) return open_in_memory(file->inode, with_path(file->path));
        if (!file->path.empty()) return open(PathAt{.base = "/", .path = file->path});
        const bool reads = (flags_ & O_ACCMODE) != O_WRONLY;
        if ((flags_ & O_PATH) || (reads && !file->readable()) || (writes() && !file->writes())) return -EACCES;
        return call_.state.files.duplicate(fd, flags_ & O_CLOEXEC);
    }

    std::int64_t open_regular(const Location& found) {
        if (changes() && !found.writable()) return -EROFS;
        return open_host(found, flags_ & (O_ACCMODE | O_SYNC | O_DSYNC), 0);
    }

    // An in-memory file or directory that exists, perhaps without a name.
    std::int64_t open_in_memory(FileId inode, OpenFile file) {
        const MemoryInode& found = *call_.state.memory_tree->find(inode);
        if ((flags_ & O_DIRECTORY) && !found.is_directory()) return -ENOTDIR;
        file.inode = inode;
        file.writable = true;
        file.is_directory = found.is_directory();
        if (flags_ & O_PATH) {
            file.kind = &kinds::memory_name;
            return install(std::move(file));
        }
        if (S_ISSOCK(found.mode)) return -ENXIO;
        if (found.is_link()) return -ELOOP;
        if (found.is_directory() && changes()) return -EISDIR;
        const bool reads = (flags_ & O_ACCMODE) != O_WRONLY;
        if (!may_access(found, (reads ? R_OK : 0) | (writes() || (flags_ & O_TRUNC) ? W_OK : 0))) return -EACCES;
        file.kind = found.is_directory() ? &kinds::memory_directory : &kinds::memory_file;
        const std::int64_t fd = install(std::move(file));
        if (fd >= 0 && (flags_ & O_TRUNC) && call_.memory.files().size(inode) != 0)
            (void)truncate_memory_file(call_, inode, 0);
        return fd;
    }

    std::int64_t create_in_memory(const Location& found) {
        OpenFile file = with_path(found.path);
        const mode_t mode = S_IFREG | (mode_ & ~call_.state.umask & 07777);
        if (const int error = make_named(call_, found.parent, found.name(), mode, file.inode)) return error;
        return install_new(std::move(file));
    }

    // O_TMPFILE
    std::int64_t open_unnamed(const Location& directory) {
        if (!directory.exists()) return directory.error;
        if (!directory.is_directory()) return -ENOTDIR;
        if (directory.kind != Location::Kind::memory) return directory.writable() ? -EOPNOTSUPP : -EROFS;
        if (const int error = check_directory_change(call_, directory.inode)) return error;
        OpenFile file;
        const std::uint32_t mount = call_.state.memory_tree->find(directory.inode)->mount;
        const mode_t mode = S_IFREG | (mode_ & ~call_.state.umask & 07777);
        if (const int error = make_unnamed(call_, mode, mount, file.inode)) return error;
        call_.state.memory_tree.change().change(file.inode).may_be_linked = !(flags_ & O_EXCL);
        file.path = join_path(directory.path, "#" + std::to_string(file.inode)) + " (deleted)";
        return install_new(std::move(file));
    }

    // A file that was just made may be opened in any way, whatever its permissions.
    std::int64_t install_new(OpenFile file) {
        file.writable = true;
        file.kind = &kinds::memory_file;
        return install(std::move(file));
    }

    std::int64_t create(const Location& found) {
        const int fresh = O_CREAT | O_EXCL | (flags_ & (O_ACCMODE | O_SYNC | O_DSYNC));
        const std::int64_t fd = open_host(found, fresh, mode_ & ~call_.state.umask & 0777);
        // Another process of the host was quicker, so the file exists now.
        if (fd != -EEXIST || (flags_ & O_EXCL)) return fd;
        Location again = look_up(call_, "/", found.path, GuestFileSystem::Last::keep_link);
        return again.exists() ? open_existing(std::move(again)) : -ENOENT;
    }

    std::int64_t open_host(const Location& found, int host_flags, unsigned mode) {
        const int fd = paths().open(found, host_flags, mode);
        if (fd < 0) return fd;
        auto host = std::make_shared<const HostFile>(FileDescriptor(fd));
        // The file may have been replaced since it was looked at.
        struct stat status {};
        if (::fstat(fd, &status) != 0) return -errno;
        if (!S_ISREG(status.st_mode)) return -EACCES;
        if ((flags_ & O_TRUNC) && writes() && ::ftruncate(fd, 0) != 0) return -errno;
        if (call_.state.seen_files && writes()) call_.state.seen_files->write(found.path, status);
        OpenFile file;
        file.kind = &kinds::regular;
        file.writable = found.writable();
        file.path = found.path;
        file.host = std::move(host);
        if ((flags_ & O_APPEND) && writes()) file.appending = open_appending(found, status);
        return install(std::move(file));
    }

    std::shared_ptr<const HostFile> open_appending(const Location& found, const struct stat& same) {
        const int fd = paths().open(found, O_WRONLY | O_APPEND);
        if (fd < 0) return nullptr;
        auto host = std::make_shared<const HostFile>(FileDescriptor(fd));
        struct stat status {};
        const bool is_same = ::fstat(fd, &status) == 0 && status.st_dev == same.st_dev && status.st_ino == same.st_ino;
        return is_same ? host : nullptr;
    }

    SyscallContext& call_;
    int flags_;
    unsigned mode_;
    bool reopened_ = false;
};

}  // namespace

std::int64_t sys_open(SyscallContext& call) {
    const PathAt at = read_path_at(call, AT_FDCWD, call.args[0]);
    return at.error ? at.error : Opening(call, call.int_arg(1), static_cast<unsigned>(call.args[2])).open(at);
}

std::int64_t sys_openat(SyscallContext& call) {
    const PathAt at = read_path_at(call, call.int_arg(0), call.args[1]);
    return at.error ? at.error : Opening(call, call.int_arg(2), static_cast<unsigned>(call.args[3])).open(at);
}

std::int64_t sys_memfd_create(SyscallContext& call) {
    constexpr unsigned no_exec = 8, exec = 16;  // MFD_NOEXEC_SEAL, MFD_EXEC
    constexpr unsigned known = MFD_CLOEXEC | MFD_ALLOW_SEALING | no_exec | exec;
    constexpr std::size_t longest_name = 249;
    const auto flags = static_cast<unsigned>(call.args[1]);
    if ((flags & ~known) || (flags & (no_exec | exec)) == (no_exec | exec)) return -EINVAL;
    const PathArgument name = read_path(call, call.args[0]);
    if (name.error) return name.error == -EFAULT ? -EFAULT : -EINVAL;
    if (name.path.size() > longest_name) return -EINVAL;
    if (call.state.files.full()) return -EMFILE;
    OpenFile file = with_path("/memfd:" + name.path + " (deleted)");
    if (const int error = make_unnamed(call, S_IFREG | (flags & no_exec ? 0666 : 0777), 0, file.inode)) return error;
    MemoryInode& inode = call.state.memory_tree.change().change(file.inode);
    inode.may_be_linked = false;
    if (flags & (MFD_ALLOW_SEALING | no_exec)) inode.seals = 0;
    file.kind = &kinds::memory_file;
    file.writable = true;
    file.flags = O_RDWR | large_file;
    return call.state.files.open(std::move(file), flags & MFD_CLOEXEC);
}

std::int64_t sys_creat(SyscallContext& call) {
    const PathAt at = read_path_at(call, AT_FDCWD, call.args[0]);
    if (at.error) return at.error;
    return Opening(call, O_CREAT | O_WRONLY | O_TRUNC, static_cast<unsigned>(call.args[1])).open(at);
}

}  // namespace tinykvm::linux_abi
