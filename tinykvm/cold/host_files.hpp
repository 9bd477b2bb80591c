// The open files of the host that a frozen program has: what a file of a snapshot says of them, and opening them again.
//
// Thread safety: one thread. Errors: MachineError names the file and the reason.
#pragma once

#include <cstdint>
#include <vector>

#include "tinykvm/linux/state.hpp"

namespace tinykvm::cold {

struct HostFileNote {
    bool is_open = false;  // false: the open file is none of the host
    bool is_appending = false;
    std::uint64_t inode = 0;
    std::uint32_t type = 0;  // S_IFMT of its mode

    template <typename Archive>
    void archive(Archive& archive) {
        archive(is_open, is_appending, inode, type);
    }
};

// One for each open file, in the order of the table. Throws when one could not be opened again.
std::vector<HostFileNote> note_host_files(const linux_abi::ProcessState& process);

// Opens them below the path rules of the process, whose table is as it was when they were noted.
void reopen_host_files(linux_abi::ProcessState& process, const std::vector<HostFileNote>& notes);

}  // namespace tinykvm::cold
