// What system calls do with in-memory files: the names are in ProcessState::memory_tree, the data in
// GuestMemory::files().
//
// Errors are negative errno values. Thread safety: the thread that runs the guest.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "tinykvm/linux/memory_tree.hpp"
#include "tinykvm/linux/syscall_context.hpp"

struct statfs;

namespace tinykvm::linux_abi {

inline constexpr std::size_t max_name = 255;
// Device numbers of file systems in memory have the major number 0; those of the mounts follow one another after this.
inline constexpr unsigned first_memory_minor = 32;

struct stat memory_status(const SyscallContext& call, FileId inode);
// What statfs says of all in-memory files: they share the memory of the guest.
struct statfs memory_file_system(const SyscallContext& call);

// May the program do that (R_OK, W_OK, X_OK) with it? The program is user_id, not root.
bool may_access(const MemoryInode& inode, int mode);
// May a name be added to the directory, or taken from it? Returns 0, -EACCES or -ENOENT.
int check_directory_change(const SyscallContext& call, FileId directory);
// Is there room for a new name, or inode with one? Returns 0 or -ENOSPC.
int check_room(SyscallContext& call, std::size_t bytes);

// Makes a file, directory or symbolic link with a name in a directory. Returns 0 or a negative errno.
int make_named(SyscallContext& call, FileId directory, std::string_view name, mode_t mode, FileId& made,
               std::string_view target = {});
// Makes a file without a name. Returns 0 or a negative errno.
int make_unnamed(SyscallContext& call, mode_t mode, std::uint32_t mount, FileId& made);
// The tree was changed: what it takes of the host's memory is counted.
void count_names(SyscallContext& call);
// A name was taken away: forgets the file unless it has others, is open or mapped.
void release_name(SyscallContext& call, FileId inode);
// The same for all files whose last descriptor or mapping may have gone. The file that the host keeps is saved when it
// was open for writing; that gives the result, 0 or a negative errno.
int release_unused_files(SyscallContext& call);

// Can the program write to it through a mapping?
bool has_writable_mapping(const SyscallContext& call, FileId inode);

// Open files know the path they were opened by, which changes with the names on it. `to` empty: the name was removed.
void follow_rename(SyscallContext& call, const std::string& from, const std::string& to);

// Changes the length. Returns 0 or a negative errno.
std::int64_t truncate_memory_file(SyscallContext& call, FileId inode, std::int64_t length);
void note_written(SyscallContext& call, FileId inode);

// memfd_create's seals: F_ADD_SEALS and F_GET_SEALS.
std::int64_t change_seals(SyscallContext& call, const OpenFile& file, int seals);
std::int64_t get_seals(const SyscallContext& call, const OpenFile& file);

}  // namespace tinykvm::linux_abi
