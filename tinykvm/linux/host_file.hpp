// The host's side of an open file: a descriptor that closes itself, shared by every state that refers to it.
// Nothing about it ever changes after it was opened: offsets and status flags belong to the guest's OpenFile,
// reads and writes say where (pread, pwrite), so forks that inherited the same file cannot notice each other.
//
// Thread safety: immutable.
#pragma once

#include <utility>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::linux_abi {

class HostFile {
  public:
    explicit HostFile(FileDescriptor fd) : fd_(std::move(fd)) {}
    int fd() const { return fd_.get(); }

  private:
    FileDescriptor fd_;
};

}  // namespace tinykvm::linux_abi
