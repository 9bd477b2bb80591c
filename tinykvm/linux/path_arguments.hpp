// Paths as system calls take them: a directory descriptor and a path.
#pragma once

#include <string>

#include "tinykvm/linux/call.hpp"
#include "tinykvm/linux/namespace.hpp"

namespace tinykvm::linux_abi {

struct PathAt {
    std::string base;  // the directory to start from
    std::string path;
    const OpenFile* self = nullptr;  // empty path and AT_EMPTY_PATH: the descriptor itself is meant
    int error = 0;
};

// Reads the path at `address`, relative to descriptor `directory` (AT_FDCWD: the working directory). With
// `allow_empty` an empty path denotes the descriptor, or the working directory.
PathAt read_path_at(const Call& call, int directory, GuestAddr address, bool allow_empty = false);

// What a path leads to. What the guest may not have is logged.
Namespace::Location look_up(const Call& call, std::string_view base, std::string_view path, Namespace::Last last);
inline Namespace::Location look_up(const Call& call, const PathAt& at, Namespace::Last last) {
    return look_up(call, at.base, at.path, last);
}

// A change of what the path names: refused without a host call where no writable rule can cover it, and logged.
// 0, ENOENT or EROFS.
int refuse_change(const Call& call, const PathAt& at);

}  // namespace tinykvm::linux_abi
