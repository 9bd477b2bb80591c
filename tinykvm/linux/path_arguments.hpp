// Paths as system calls take them: a directory descriptor and a path.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <string>

#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

struct PathAt {
    std::string base;  // the directory to start from
    std::string path;
    const OpenFile* self = nullptr;  // empty path and AT_EMPTY_PATH: the descriptor itself is meant
    int error = 0;                   // a negative errno when there is no such path to start from
};

// Reads the path at `address`, relative to descriptor `directory` (AT_FDCWD: the working directory). With
// `allow_empty` an empty path denotes the descriptor, or the working directory.
PathAt read_path_at(const SyscallContext& call, int directory, GuestAddr address, bool allow_empty = false);

// Resolves a path. One that the guest may not have is logged.
GuestFileSystem::Location look_up(const SyscallContext& call, std::string_view base, std::string_view path,
                                  GuestFileSystem::Last last);
inline GuestFileSystem::Location look_up(const SyscallContext& call, const PathAt& at, GuestFileSystem::Last last) {
    return look_up(call, at.base, at.path, last);
}

// Refuses a change of what the path names, without a host call, where no writable rule can cover it; the refusal is
// logged. `creates`: the call makes the name if there is none. Returns 0, -ENOENT or -EROFS.
[[nodiscard]] int refuse_change(const SyscallContext& call, const PathAt& at, bool creates = false);

}  // namespace tinykvm::linux_abi
