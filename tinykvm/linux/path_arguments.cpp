#include "tinykvm/linux/path_arguments.hpp"

#include <fcntl.h>

#include "tinykvm/linux/refused_paths.hpp"

namespace tinykvm::linux_abi {

namespace {

void log_refusal(const SyscallContext& call, const std::string& path, const char* reason) {
    if (!call.options.log) return;
    switch (call.state.refused_paths->note(path)) {
        case RefusedPaths::Told::before: break;
        case RefusedPaths::Told::first:
            call.options.log(std::string(call.name) + ": " + in_quotes(path) + " " + reason);
            break;
        case RefusedPaths::Told::too_many: call.options.log("more paths are refused, and not logged"); break;
    }
}

const char* describe(GuestFileSystem::Location::Refusal refusal) {
    using Refusal = GuestFileSystem::Location::Refusal;
    switch (refusal) {
        case Refusal::none: break;
        case Refusal::not_covered: return "is not in allowed_paths";
        case Refusal::of_kernel: return "is the host kernel's and not for guests";
        case Refusal::not_made: return "is not among what guests have in /proc, /sys and /dev";
    }
    return "is refused";
}

}  // namespace

PathAt read_path_at(const SyscallContext& call, int directory, GuestAddr address, bool allow_empty) {
    PathAt at;
    PathArgument argument = read_path(call, address);
    if (argument.error) {
        at.error = argument.error;
        return at;
    }
    at.path = std::move(argument.path);
    if (at.path.empty() && !allow_empty) {
        at.error = -ENOENT;
    } else if (!at.path.empty() && at.path[0] == '/') {
        at.base = "/";
    } else if (directory == AT_FDCWD) {
        at.base = call.state.working_directory;
        if (at.path.empty()) at.path = ".";
    } else if (const OpenFile* file = call.state.files.find(directory); !file) {
        at.error = -EBADF;
    } else if (at.path.empty()) {
        at.self = file;
    } else if (!file->is_directory) {
        at.error = -ENOTDIR;
    } else {
        at.base = file->path;
    }
    return at;
}

GuestFileSystem::Location look_up(const SyscallContext& call, std::string_view base, std::string_view path,
                                  GuestFileSystem::Last last) {
    GuestFileSystem::Location found = call.state.file_system->resolve(call.state, base, path, last);
    if (!found.exists() && found.refusal != GuestFileSystem::Location::Refusal::none)
        log_refusal(call, found.path, describe(found.refusal));
    return found;
}

int refuse_change(const SyscallContext& call, const PathAt& at, bool creates) {
    const std::string path = at.path.starts_with('/') ? at.path : join_path(at.base, at.path);
    switch (call.state.file_system->judge(call.state, at.base, at.path)) {
        case GuestFileSystem::Verdict::nowhere:
            log_refusal(call, path, describe(GuestFileSystem::Location::Refusal::not_covered));
            return -ENOENT;
        case GuestFileSystem::Verdict::not_in_directory:
            log_refusal(call, path, describe(GuestFileSystem::Location::Refusal::not_covered));
            return creates ? -EROFS : -ENOENT;
        case GuestFileSystem::Verdict::read_only: log_refusal(call, path, "is not writable"); return -EROFS;
        case GuestFileSystem::Verdict::writable: break;
    }
    return 0;
}

}  // namespace tinykvm::linux_abi
