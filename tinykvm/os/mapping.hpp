// The one owner of a range of host addresses made by mmap: unmaps it. Move-only.
//
// Thread safety: one thread at a time.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <utility>

namespace tinykvm {

class Mapping {
  public:
    Mapping() = default;
    // Throws MachineError("what: reason").
    Mapping(const char* what, std::size_t size, int protection, int flags, int fd = -1, off_t offset = 0);
    // Takes over a range that is mapped already.
    Mapping(std::byte* begin, std::size_t size) : begin_(begin), size_(size) {}
    ~Mapping() { reset(); }
    Mapping(Mapping&& other) noexcept
        : begin_(std::exchange(other.begin_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        if (this != &other) {
            reset();
            begin_ = std::exchange(other.begin_, nullptr);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }

    // Keeps `size` bytes and unmaps the rest: `front` bytes before them, and all that comes after them.
    void trim(std::size_t front, std::size_t size);

    std::byte* data() const { return begin_; }
    std::size_t size() const { return size_; }

  private:
    void reset() {
        if (begin_) ::munmap(begin_, size_);
        begin_ = nullptr;
    }
    std::byte* begin_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace tinykvm
