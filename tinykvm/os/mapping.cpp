#include "tinykvm/os/mapping.hpp"

#include <cerrno>

#include "tinykvm/errors.hpp"

namespace tinykvm {

Mapping::Mapping(const char* what, std::size_t size, int protection, int flags, int fd, off_t offset) : size_(size) {
    void* begin = ::mmap(nullptr, size, protection, flags, fd, offset);
    if (begin == MAP_FAILED) throw MachineError::from_errno(what, errno);
    begin_ = static_cast<std::byte*>(begin);
}

void Mapping::trim(std::size_t front, std::size_t size) {
    if (front) ::munmap(begin_, front);
    if (size_t rest = size_ - front - size) ::munmap(begin_ + front + size, rest);
    begin_ += front;
    size_ = size;
}

}  // namespace tinykvm
