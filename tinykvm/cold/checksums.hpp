// By which a file of a snapshot knows its own bytes.
//
// Thread safety: functions without state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tinykvm/types.hpp"

namespace tinykvm::cold {

using Sha256 = std::array<std::byte, 32>;

Sha256 sha256(std::span<const std::byte> bytes);

// CRC-32C (RFC 3720, B.4) of each page: the CPU computes it about as fast as it reads memory, ten times as fast as
// SHA-256. `pages` and `checksums` are equally many.
void checksum_pages(std::span<const std::byte> pages, std::span<std::uint32_t> checksums);
// The same without the CPU's instruction for it.
void checksum_pages_slowly(std::span<const std::byte> pages, std::span<std::uint32_t> checksums);

}  // namespace tinykvm::cold
