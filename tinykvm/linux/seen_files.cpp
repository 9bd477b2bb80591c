#include "tinykvm/linux/seen_files.hpp"

#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/state.hpp"

namespace tinykvm::linux_abi {

SeenFiles::Entry SeenFiles::Entry::of(const struct stat* status, Counts counts) {
    if (!status) return {};
    const FileStamp stamp = FileStamp::of(*status);
    return {true, counts == Counts::name || stamp.is_settled(), counts, stamp};
}

bool SeenFiles::Entry::is_as(const struct stat* status) const {
    if (!status || !exists) return exists == (status != nullptr);
    const FileStamp now = FileStamp::of(*status);
    const bool is_the_inode = stamp.inode == now.inode && (stamp.mode & S_IFMT) == (now.mode & S_IFMT);
    return counts == Counts::name ? is_the_inode : stamp == now;
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
        if (!entry.is_certain) return path + " was changed less than 2 s before the program looked at it";
    return {};
}

}  // namespace tinykvm::linux_abi
