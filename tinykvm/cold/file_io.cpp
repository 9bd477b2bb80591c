#include "tinykvm/cold/file_io.hpp"

#include <unistd.h>

#include <cerrno>

#include "tinykvm/cold/archive.hpp"
#include "tinykvm/errors.hpp"

namespace tinykvm::cold {

void read_all(int file, std::span<std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t size = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) throw MachineError::from_errno("it cannot be read", errno);
        require(size != 0, "it ends too early");
        bytes = bytes.subspan(static_cast<std::size_t>(size));
        offset += static_cast<std::uint64_t>(size);
    }
}

void write_all(int file, std::span<const std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t size = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) throw MachineError::from_errno("it cannot be written", size < 0 ? errno : EIO);
        bytes = bytes.subspan(static_cast<std::size_t>(size));
        offset += static_cast<std::uint64_t>(size);
    }
}

}  // namespace tinykvm::cold
