#include "tinykvm/linux/path_arguments.hpp"

#include <fcntl.h>

namespace tinykvm::linux_abi {

PathAt read_path_at(const Call& call, int directory, GuestAddr address, bool allow_empty) {
    PathAt at;
    PathArgument argument = read_path(call, address);
    if (argument.error) {
        at.error = argument.error;
        return at;
    }
    at.path = std::move(argument.path);
    if (at.path.empty() && !allow_empty) {
        at.error = ENOENT;
    } else if (!at.path.empty() && at.path[0] == '/') {
        at.base = "/";
    } else if (directory == AT_FDCWD) {
        at.base = call.state.working_directory;
        if (at.path.empty()) at.path = ".";
    } else if (const OpenFile* file = call.state.files.find(directory); !file) {
        at.error = EBADF;
    } else if (at.path.empty()) {
        at.self = file;
    } else if (!file->is_directory) {
        at.error = ENOTDIR;
    } else {
        at.base = file->path;
    }
    return at;
}

int refuse_change(const Call& call, const PathAt& at) {
    switch (call.state.paths->judge(at.base, at.path)) {
        case Namespace::Verdict::nowhere: return ENOENT;
        case Namespace::Verdict::read_only:
            call.log(std::string(call.name) + ": " +
                     in_quotes(at.path.starts_with('/') ? at.path : join_path(at.base, at.path)) +
                     " is not writable");
            return EROFS;
        case Namespace::Verdict::writable: break;
    }
    return 0;
}

}  // namespace tinykvm::linux_abi
