// How getdents64 writes the entries of a directory.
//
// Thread safety: functions of their arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace tinykvm::linux_abi {

// struct linux_dirent64
struct EntryHead {
    std::uint64_t inode;
    std::uint64_t next;  // the position after this entry
    std::uint16_t size;
    std::uint8_t type;
    char name[];
};
inline constexpr std::size_t entry_head_size = 19;  // up to the name

// Writes one entry; returns its bytes, or 0 when it does not fit.
std::size_t put_entry(std::span<std::byte> to, std::string_view name, std::uint8_t type, std::uint64_t inode,
                      std::uint64_t next);

}  // namespace tinykvm::linux_abi
