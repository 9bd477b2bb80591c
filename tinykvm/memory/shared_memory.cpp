#include "tinykvm/memory/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "tinykvm/errors.hpp"

namespace tinykvm {

SharedMemory::SharedMemory(std::size_t size) : size_(size) {
    const int fd = ::memfd_create("tinykvm shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) throw MachineError::from_errno("cannot create shared_memory (memfd_create)", errno);
    file_ = FileDescriptor(fd);
    int failed;
    do {
        failed = ::fallocate(fd, 0, 0, static_cast<off_t>(size));
    } while (failed != 0 && errno == EINTR);
    if (failed != 0) throw MachineError::from_errno("the host has not enough memory for shared_memory", errno);
    if (::fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        throw MachineError::from_errno("cannot seal shared_memory", errno);
}

}  // namespace tinykvm
