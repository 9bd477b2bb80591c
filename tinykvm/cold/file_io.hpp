// Bytes at a place of a file, all of them.
//
// Thread safety: functions without state. Errors: MachineError; Malformed when the file ends too early.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tinykvm::cold {

void read_all(int file, std::span<std::byte> bytes, std::uint64_t offset);
void write_all(int file, std::span<const std::byte> bytes, std::uint64_t offset);

}  // namespace tinykvm::cold
