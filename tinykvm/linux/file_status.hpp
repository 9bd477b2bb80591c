// What stat says of files, and what is the same of many kinds of files.
#pragma once

#include <sys/stat.h>

#include <string_view>

#include "tinykvm/linux/pseudo_files.hpp"
#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Of things that exist in the guest only. The inode is a number made from the name, the same in every guest.
struct stat made_up_status(mode_t mode, std::string_view name);
// Of what is in /proc, /sys and /dev.
struct stat pseudo_status(const PseudoFile& file, std::string_view path);

// FileKind::status: of the host's file, or of what the guest alone has at OpenFile::path.
int host_or_pseudo_status(const SyscallContext& call, const OpenFile& file, struct stat& status);
// FileKind::readiness of what never has to be waited for.
short always_ready(const SyscallContext& call, const OpenFile& file);

}  // namespace tinykvm::linux_abi
