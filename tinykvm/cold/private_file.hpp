// A file that nobody but this user and root can have written: it is in a folder of theirs, which nobody else may
// change, it is theirs itself, and nobody else may read it.
//
// Thread safety: functions without state. Errors: MachineError says the reason, of a file that the caller names.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::cold {

// Opens the file for reading, without following a link at its name; nullopt: there is none.
std::optional<FileDescriptor> open_private_file(const std::string& path);

// Lets write(descriptor) make a new file, of mode 0600, which takes the place of the one at `path` when all of it is on
// the disk. Before that, or when it throws, nothing has changed.
void replace_private_file(const std::string& path, const std::function<void(int)>& write);

}  // namespace tinykvm::cold
