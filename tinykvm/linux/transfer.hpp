// Moving data between the host and guest memory, piece by piece.
//
// A piece is at most transfer_piece bytes, so that no length a guest chose becomes an allocation of the host, and
// between pieces the deadline and the memory limit are checked. As in Linux, a transfer that was partly done returns
// the bytes that were moved; it returns -EFAULT or another error only when none were.
//
// Thread safety: the thread that runs the guest. Throws Timeout, Interrupted and OutOfMemory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tinykvm/linux/syscall_context.hpp"

namespace tinykvm::linux_abi {

// Puts bytes into a piece of guest memory (takes bytes out of one). Returns how many, or a negative errno. Fewer than
// the piece holds end the transfer.
using Producer = std::function<std::int64_t(std::span<std::byte> piece)>;
using Consumer = std::function<std::int64_t(std::span<const std::byte> piece)>;

std::int64_t fill_guest(SyscallContext& call, GuestAddr address, std::uint64_t size, const Producer& produce);
std::int64_t drain_guest(SyscallContext& call, GuestAddr address, std::uint64_t size, const Consumer& consume);

// struct iovec of a guest.
struct IoVector {
    std::uint64_t address = 0, size = 0;
};
std::uint64_t total_size(std::span<const IoVector> ranges);
// Copies and checks the vector: at most max_vectors entries, together at most max_transfer (the rest is cut off).
// Returns 0, -EFAULT or -EINVAL.
[[nodiscard]] int read_vectors(const SyscallContext& call, GuestAddr address, std::uint64_t count,
                               std::vector<IoVector>& ranges);

std::int64_t fill_guest(SyscallContext& call, std::span<const IoVector> ranges, const Producer& produce);
std::int64_t drain_guest(SyscallContext& call, std::span<const IoVector> ranges, const Consumer& consume);
// Puts these bytes there, as many as there is room for.
std::int64_t fill_guest(SyscallContext& call, std::span<const IoVector> ranges, std::span<const std::byte> bytes);

}  // namespace tinykvm::linux_abi
