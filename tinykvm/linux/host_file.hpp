// The host's side of an open file: a descriptor that closes itself, shared by every state that refers to it.
// Nothing of it changes after it was opened: offsets and status flags belong to the guest's OpenFile, and reads and
// writes give a position (pread, pwrite), so forks that share the file cannot notice each other.
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
