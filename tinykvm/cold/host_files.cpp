#include "tinykvm/cold/host_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/linux/guest_file_system.hpp"

namespace tinykvm::cold {

namespace {

using linux_abi::GuestFileSystem;
using linux_abi::HostFile;
using linux_abi::OpenFile;
using linux_abi::ProcessState;
namespace kinds = linux_abi::kinds;

[[noreturn]] void fail(const OpenFile& file, const std::string& why) {
    throw MachineError("the program has " + file.path + " open, " + why);
}

// What is at the path of the file now, which must be the file.
GuestFileSystem::Location find(const ProcessState& process, const OpenFile& file, const HostFileNote& note) {
    if (!file.path.starts_with('/')) fail(file, "which has no path");
    auto found = process.file_system->resolve(process, "/", file.path, GuestFileSystem::Last::keep_link);
    if (found.kind != GuestFileSystem::Location::Kind::host) fail(file, "which is not there any more");
    if (found.status.st_ino != note.inode || (found.status.st_mode & S_IFMT) != note.type)
        fail(file, "and another file is there now");
    return found;
}

std::shared_ptr<const HostFile> open(const ProcessState& process, const OpenFile& file,
                                     const GuestFileSystem::Location& found, int flags) {
    FileDescriptor fd(process.file_system->open(found, flags));
    if (fd.get() < 0) {
        const int error = -fd.release();
        fail(file, std::string("which cannot be opened again (") + std::strerror(error) + ")");
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || status.st_ino != found.status.st_ino || status.st_dev != found.status.st_dev)
        fail(file, "and another file is there now");
    return std::make_shared<const HostFile>(std::move(fd));
}

void reopen(const ProcessState& process, OpenFile& file, const HostFileNote& note) {
    GuestFileSystem::Location found = find(process, file, note);
    if (file.kind != &kinds::regular) {  // a name, as Opening makes it
        file.host = std::make_shared<const HostFile>(std::move(found.handle));
        return;
    }
    if (note.type != S_IFREG) fail(file, "which is no regular file");
    if ((file.writes() || note.is_appending) && !found.writable()) fail(file, "which it may not write");
    file.writable = found.writable();
    file.host = open(process, file, found, file.flags & (O_ACCMODE | O_SYNC | O_DSYNC));
    if (note.is_appending) file.appending = open(process, file, found, O_WRONLY | O_APPEND);
}

}  // namespace

std::vector<HostFileNote> note_host_files(const ProcessState& process) {
    std::vector<HostFileNote> notes;
    process.files.for_each_file([&](const OpenFile& file) {
        HostFileNote& note = notes.emplace_back();
        if (!file.host) return;
        if (file.locks) fail(file, "and has a lock on it");
        struct stat status {};
        if (::fstat(file.host->fd(), &status) != 0) fail(file, "of which nothing can be learned");
        note = {true, file.appending != nullptr, status.st_ino, status.st_mode & S_IFMT};
        (void)find(process, file, note);
    });
    return notes;
}

void reopen_host_files(ProcessState& process, const std::vector<HostFileNote>& notes) {
    std::size_t number = 0;
    process.files.for_each_file([&](OpenFile& file) {
        if (number >= notes.size()) throw MachineError("a file that the program has open is missing");
        const HostFileNote& note = notes[number++];
        if (note.is_open) return reopen(process, file, note);
        if (file.kind == &kinds::regular) fail(file, "of which nothing is said");
    });
}

}  // namespace tinykvm::cold
