// A file on its way to its place in a folder: it is written there under another name, made durable, and renamed. So at
// any moment the place has all of what it had before or all of the new file, whatever ends the process; and who has the
// old one open keeps it.
//
// It is a lock, too: under one name there is one at a time, in all processes. One that is not published is removed;
// what a process that was killed has left is begun anew by the next. Others may make files in the folder (/tmp): no
// link is followed, and a file that is there is not used unless it is this user's.
//
// Thread safety: one thread at a time per object. Errors: std::system_error with the errno.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm {

class IncomingFile {
  public:
    // Begins one with this name in the folder, whose descriptor is borrowed. nullopt: another thread or process has it,
    // or had it until now. EEXIST: what is there is not a file of this user alone.
    static std::optional<IncomingFile> begin(int folder, const std::string& name);
    IncomingFile(IncomingFile&&) noexcept = default;
    IncomingFile& operator=(IncomingFile&&) = delete;
    ~IncomingFile();

    int fd() const { return file_.get(); }
    // Appends.
    void write(std::span<const std::byte> bytes);
    // Gives it the place and these permissions, and the lock to the next. When this throws after the renaming, the file
    // has its place, and may have lost it after a failure of the host's power.
    void publish(const std::string& place, mode_t mode);

  private:
    IncomingFile(int folder, std::string name, FileDescriptor file)
        : folder_(folder), name_(std::move(name)), file_(std::move(file)) {}

    const int folder_;
    const std::string name_;
    FileDescriptor file_;  // null: it is published
};

}  // namespace tinykvm
