// Opening what lies below a directory of the host, for guests.
//
// No link is followed and nothing above the directory is reached, so neither a link nor one that is replaced meanwhile
// leads out. And no file system is entered that shows the host's kernel, its devices or its processes: procfs, sysfs,
// devtmpfs and their like. The kind of a file system counts, not where it is mounted. It is checked at every mount on
// the way, so that what is mounted inside of such a file system cannot be reached through it either. A path that stays
// on the mount it begins on needs no check and costs one host call.
//
// Thread safety: functions without state.
#pragma once

#include <string>
#include <string_view>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::linux_abi {

// Opens `path`, relative to `directory`, with components that are neither empty nor ".."; "." is the
// directory. Returns a descriptor of the host, which the caller closes, or a negative errno; -EXDEV when the way leads
// into a file system of the kernel. `flags` as open(2); O_CLOEXEC is added.
[[nodiscard]] int open_below(int directory, std::string_view path, int flags, unsigned mode = 0);

// The same from the root of the host, for paths that the operator has configured. `path` is absolute and free of links.
[[nodiscard]] int open_on_host(std::string_view path, int flags);

// Is what this descriptor of the host refers to on a file system of the kernel?
bool is_of_kernel(int fd);
// Is it on sysfs?
bool is_on_sysfs(int fd);
// Is the entry of a directory a mount point of a file system of the kernel?
bool is_mount_of_kernel(int directory, const char* name);

}  // namespace tinykvm::linux_abi
