// Memory that all VMs of a program see: the one it boots in and all its forks. Zero at first, never reset.
//
// Thread safety: the object is immutable; the memory may be written by any VM of the program at any time.
#pragma once

#include <cstddef>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm {

class SharedMemory {
  public:
    // Takes `size` bytes from the host at once: later there would be no caller to learn that they are missing, and an
    // access would end in SIGBUS. Throws MachineError, naming the option shared_memory.
    explicit SharedMemory(std::size_t size);

    int fd() const { return file_.get(); }  // a memfd that keeps its size
    std::size_t size() const { return size_; }

  private:
    FileDescriptor file_;
    std::size_t size_;
};

}  // namespace tinykvm
