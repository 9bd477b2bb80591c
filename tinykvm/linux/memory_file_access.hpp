// In-memory files of a guest as its host reads and writes them, by their paths.
//
// Errors are negative errno values. Thread safety: one thread at a time, while the guest stands still.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/linux/state.hpp"
#include "tinykvm/memory/guest_memory.hpp"

namespace tinykvm::linux_abi {

// Adds bytes to the end of a file, which is made if it is not there. Returns 0 or a negative errno: -EROFS where no
// in-memory file can be.
[[nodiscard]] int append_to_file(GuestMemory& memory, ProcessState& state, const std::string& path,
                                 std::span<const std::byte> bytes);
// Puts what is in a file into `bytes`. Returns 0 or a negative errno: -EFBIG when that is more than `most` bytes.
[[nodiscard]] int read_file(const GuestMemory& memory, const ProcessState& state, const std::string& path,
                            std::size_t most, std::vector<std::byte>& bytes);

}  // namespace tinykvm::linux_abi
