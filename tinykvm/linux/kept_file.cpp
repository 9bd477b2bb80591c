#include "tinykvm/linux/kept_file.hpp"

#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/memory_files.hpp"

namespace tinykvm::linux_abi {

namespace {

// 0: there is no such file now.
FileId find_kept_file(const SyscallContext& call) {
    if (call.options.kept_file.path.empty()) return 0;
    const auto found =
        call.state.file_system->resolve(call.state, "/", call.options.kept_file.path, GuestFileSystem::Last::keep_link);
    return found.exists() && S_ISREG(found.mode) ? found.inode : 0;
}

}  // namespace

bool is_kept_file(const SyscallContext& call, FileId inode) { return inode != 0 && find_kept_file(call) == inode; }

int save_kept_file(SyscallContext& call) {
    const FileId inode = find_kept_file(call);
    if (inode == 0) return 0;
    ProcessState& state = call.state;
    const timespec version = state.memory_tree->find(inode)->modified;
    const bool is_saved = state.saved_inode == inode && state.saved_version.tv_sec == version.tv_sec &&
                          state.saved_version.tv_nsec == version.tv_nsec;
    // What is written to a mapping changes no times.
    if (is_saved && !has_writable_mapping(call, inode)) return 0;
    const FileMemory& files = call.memory.files();
    if (files.size(inode) > call.options.kept_file.max_size) return -EFBIG;
    std::vector<std::byte> bytes;
    bytes.reserve(files.size(inode));
    for (;;) {
        const auto piece = files.readable(inode, bytes.size(), call.options.kept_file.max_size);
        if (piece.empty()) break;
        bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    const int error = call.options.kept_file.save(std::move(bytes), [&call] { call.waiter.check(); });
    if (error == 0) {
        state.saved_inode = inode;
        state.saved_version = version;
    }
    return error;
}

int save_mapped_kept_file(SyscallContext& call) {
    const FileId inode = find_kept_file(call);
    return inode != 0 && has_writable_mapping(call, inode) ? save_kept_file(call) : 0;
}

}  // namespace tinykvm::linux_abi
