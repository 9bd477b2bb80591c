#include "tinykvm/cold/private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>

#include "tinykvm/errors.hpp"
#include "tinykvm/os/random.hpp"

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
        throw MachineError::from_errno(path + ": its folder cannot be opened", errno);
    if (!is_ours(status) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        throw MachineError(path + ": others than this user and root may change its folder");
    if (place.name.empty()) throw MachineError(path + ": names a folder");
    return place;
}

// A name beside the file's that nobody else has.
std::string temporary_name(const std::string& name) {
    std::array<std::uint64_t, 1> number{};
    fill_random(std::as_writable_bytes(std::span(number)));
    std::array<char, 20> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(number[0]));
    return "." + name + "." + digits.data();
}

}  // namespace

std::optional<FileDescriptor> open_private_file(const std::string& path) {
    const Place place = place_of(path);
    FileDescriptor file(
        ::openat(place.folder.get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file && errno == ENOENT) return std::nullopt;
    if (!file && errno == ELOOP) throw MachineError(path + ": is a symbolic link");
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) throw MachineError::from_errno(path, errno);
    if (!S_ISREG(status.st_mode)) throw MachineError(path + ": is not a regular file");
    if (!is_ours(status)) throw MachineError(path + ": belongs to another user than this one and root");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        throw MachineError(path + ": others may read or change it; its mode has to be 0600");
    return file;
}

void replace_private_file(const std::string& path, const std::function<void(int)>& write) {
    const Place place = place_of(path);
    const std::string temporary = temporary_name(place.name);
    const int folder = place.folder.get();
    const FileDescriptor file(
        ::openat(folder, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!file) throw MachineError::from_errno(path + ": cannot be made", errno);
    try {
        write(file.get());
        if (::fsync(file.get()) != 0 || ::renameat(folder, temporary.c_str(), folder, place.name.c_str()) != 0)
            throw MachineError::from_errno(path + ": cannot be written", errno);
    } catch (...) {
        ::unlinkat(folder, temporary.c_str(), 0);
        throw;
    }
    if (::fsync(folder) != 0) throw MachineError::from_errno(path + ": its folder cannot be written", errno);
}

}  // namespace tinykvm::cold
