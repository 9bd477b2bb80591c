// Listing directories, and the working directory.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/path_arguments.hpp"
#include "tinykvm/linux/syscall_context.hpp"
#include "tinykvm/linux/syscall_handlers.hpp"

namespace tinykvm::linux_abi {

namespace {

using Location = GuestFileSystem::Location;

constexpr std::size_t most_at_once = 32768;  // bytes of entries one call lists

std::int64_t change_to(SyscallContext& call, const Location& found) {
    if (!found.exists()) return found.error;
    if (!found.is_directory()) return -ENOTDIR;
    if (found.kind == Location::Kind::host &&
        ::syscall(SYS_faccessat2, found.handle.get(), "", X_OK, AT_EMPTY_PATH) != 0)
        return -errno;
    if (found.kind == Location::Kind::memory && !may_access(*call.state.memory_tree->find(found.inode), X_OK))
        return -EACCES;
    call.state.working_directory = found.path;
    return 0;
}

}  // namespace

std::int64_t sys_getdents64(SyscallContext& call) {
    OpenFile* file = call.data_file(0);
    if (!file) return -EBADF;
    if (!file->kind->list) return -ENOTDIR;
    // Zeroes, because the kernel leaves out what is between a name and the next entry.
    std::array<std::byte, most_at_once> entries{};
    const std::span<std::byte> room(entries.data(),
                                    std::min<std::size_t>(static_cast<std::uint32_t>(call.args[2]), entries.size()));
    const std::uint64_t before = file->offset;
    std::int64_t size = file->kind->list(call, *file, room);
    if (size > 0 && !call.memory.write(call.args[1], entries.data(), static_cast<std::size_t>(size))) size = -EFAULT;
    if (size < 0) file->offset = before;
    return size;
}

std::int64_t sys_getcwd(SyscallContext& call) {
    const std::string& path = call.state.working_directory;
    if (path.size() >= max_path) return -ENAMETOOLONG;
    if (call.args[1] < path.size() + 1) return -ERANGE;
    const std::size_t size = path.size() + 1;
    return call.memory.write(call.args[0], path.c_str(), size) ? static_cast<std::int64_t>(size) : -EFAULT;
}

std::int64_t sys_chdir(SyscallContext& call) {
    const PathAt at = read_path_at(call, AT_FDCWD, call.args[0]);
    if (at.error) return at.error;
    return change_to(call, look_up(call, at, GuestFileSystem::Last::follow));
}

std::int64_t sys_fchdir(SyscallContext& call) {
    const OpenFile* file = call.file(0);
    if (!file) return -EBADF;
    if (!file->is_directory) return -ENOTDIR;
    return change_to(call, look_up(call, "/", file->path, GuestFileSystem::Last::keep_link));
}

std::int64_t sys_umask(SyscallContext& call) {
    const std::uint32_t before = call.state.umask;
    call.state.umask = static_cast<std::uint32_t>(call.args[0]) & 0777;
    return before;
}

}  // namespace tinykvm::linux_abi
