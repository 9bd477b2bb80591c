// What stat reports of files that exist in the guest only, and operations that many kinds of files share.
//
// Thread safety: functions of their arguments.
#pragma once

#include <sys/stat.h>

#include <string_view>

#include "tinykvm/linux/pseudo_files.hpp"
#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// The status of what exists in the guest only. The inode is made from the name, and the same in every guest.
struct stat made_up_status(mode_t mode, std::string_view name);
// The status of what is in /proc, /sys and /dev.
struct stat pseudo_status(const PseudoFile& file, std::string_view path);

// FileKind::status: that of the host's file, or of what the guest alone has at OpenFile::path.
int host_or_pseudo_status(const SyscallContext& call, const OpenFile& file, struct stat& status);
// FileKind::readiness of files that never have to be waited for.
short always_ready(const SyscallContext& call, const OpenFile& file);

}  // namespace tinykvm::linux_abi
