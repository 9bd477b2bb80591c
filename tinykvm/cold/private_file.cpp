#include "tinykvm/cold/private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tinykvm/errors.hpp"
#include "tinykvm/os/incoming_file.hpp"

namespace tinykvm::cold {

namespace {

struct Place {
    FileDescriptor folder;
    std::string name;
};

bool is_ours(const struct stat& status) { return status.st_uid == ::geteuid() || status.st_uid == 0; }

Place place_of(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    Place place{FileDescriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
                slash == std::string::npos ? path : path.substr(slash + 1)};
    struct stat status {};
    if (!place.folder || ::fstat(place.folder.get(), &status) != 0)
        throw MachineError::from_errno("its folder cannot be opened", errno);
    if (!is_ours(status) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        throw MachineError("others than this user and root may change its folder");
    if (place.name.empty()) throw MachineError("it names a folder");
    return place;
}

}  // namespace

std::optional<FileDescriptor> open_private_file(const std::string& path) {
    const Place place = place_of(path);
    FileDescriptor file(
        ::openat(place.folder.get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file && errno == ENOENT) return std::nullopt;
    if (!file && errno == ELOOP) throw MachineError("it is a symbolic link");
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) throw MachineError::from_errno("it cannot be opened", errno);
    if (!S_ISREG(status.st_mode)) throw MachineError("it is not a regular file");
    if (!is_ours(status)) throw MachineError("it belongs to another user than this one and root");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        throw MachineError("others may read or change it; its mode has to be 0600");
    return file;
}

void replace_private_file(const std::string& path, const std::function<void(int)>& write) {
    const Place place = place_of(path);
    try {
        std::optional<IncomingFile> file = IncomingFile::begin(place.folder.get(), "." + place.name + ".incoming");
        if (!file) throw MachineError("another one is being written");
        write(file->fd());
        file->publish(place.name, S_IRUSR | S_IWUSR);
    } catch (const std::system_error& error) {
        throw MachineError::from_errno("it cannot be written", error.code().value());
    }
}

}  // namespace tinykvm::cold
