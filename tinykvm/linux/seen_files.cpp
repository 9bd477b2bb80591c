#include "tinykvm/linux/seen_files.hpp"

#include <ctime>

#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/state.hpp"

namespace tinykvm::linux_abi {

namespace {

// Two changes within one tick of a file system's time stamps look like one.
constexpr std::time_t settling_seconds = 2;

bool same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

bool is_settled(const struct stat& status) {
    const std::time_t now = ::time(nullptr);
    return status.st_mtim.tv_sec < now - settling_seconds && status.st_ctim.tv_sec < now - settling_seconds;
}

}  // namespace

SeenFiles::Entry SeenFiles::Entry::of(const struct stat* status, Counts counts) {
    if (!status) return {};
    return {true,
            counts == Counts::name || linux_abi::is_settled(*status),
            counts,
            status->st_ino,
            status->st_mode,
            status->st_size,
            status->st_mtim,
            status->st_ctim};
}

bool SeenFiles::Entry::is_as(const struct stat* status) const {
    if (!status || !exists) return exists == (status != nullptr);
    if (inode != status->st_ino || (mode & S_IFMT) != (status->st_mode & S_IFMT)) return false;
    return counts == Counts::name || (mode == status->st_mode && size == status->st_size &&
                                      same(modified, status->st_mtim) && same(changed, status->st_ctim));
}

// The first look counts: what the program has made of it may be older than a later one.
void SeenFiles::note(const std::string& path, const Entry& entry, bool again) {
    if (entries_.size() == most && !entries_.contains(path)) {
        too_many_ = true;
        return;
    }
    if (again)
        entries_.insert_or_assign(path, entry);
    else
        entries_.emplace(path, entry);
}

void SeenFiles::look(const std::string& path, const struct stat* status) {
    const bool is_directory = status && S_ISDIR(status->st_mode);
    note(path, Entry::of(status, is_directory ? Counts::name : Counts::contents), false);
}

void SeenFiles::list(const std::string& path, const struct stat& status) {
    const auto known = entries_.find(path);
    const bool again = known == entries_.end() || known->second.counts == Counts::name;
    note(path, Entry::of(&status, Counts::contents), again);
}

void SeenFiles::write(const std::string& path, const struct stat& status) {
    note(path, Entry::of(&status, Counts::name), true);
}

std::string SeenFiles::difference(const ProcessState& process) const {
    for (const auto& [path, entry] : entries_) {
        const auto found = process.file_system->resolve(process, "/", path, GuestFileSystem::Last::keep_link);
        const bool exists = found.kind == GuestFileSystem::Location::Kind::host;
        if (!entry.is_as(exists ? &found.status : nullptr))
            return path + (!exists         ? " is not there any more"
                           : !entry.exists ? " was not there when the program booted"
                                           : " has changed since the program booted");
    }
    return {};
}

std::string SeenFiles::uncertainty() const {
    if (too_many_) return "the program looked at more than " + std::to_string(most) + " files of the host";
    for (const auto& [path, entry] : entries_)
        if (!entry.is_settled) return path + " was changed less than 2 s before the program looked at it";
    return {};
}

}  // namespace tinykvm::linux_abi
