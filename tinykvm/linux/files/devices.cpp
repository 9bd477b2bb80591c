// The character devices a guest has: /dev/null, /dev/zero, /dev/full, /dev/random and /dev/urandom.
#include <cerrno>
#include <cstring>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/transfer.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::linux_abi {

namespace {

std::int64_t read_nothing(SyscallContext&, OpenFile&, IoVectors, std::uint64_t*) { return 0; }

std::int64_t read_zeros(SyscallContext& call, OpenFile&, IoVectors ranges, std::uint64_t*) {
    return fill_guest(call, ranges, [](std::span<std::byte> piece) {
        std::memset(piece.data(), 0, piece.size());
        return static_cast<std::int64_t>(piece.size());
    });
}

std::int64_t read_random(SyscallContext& call, OpenFile&, IoVectors ranges, std::uint64_t*) {
    return fill_guest(call, ranges, [](std::span<std::byte> piece) {
        fill_random(piece);
        return static_cast<std::int64_t>(piece.size());
    });
}

std::int64_t discard(SyscallContext&, OpenFile&, IoVectors ranges, std::uint64_t*) {
    return static_cast<std::int64_t>(total_size(ranges));
}

std::int64_t refuse_data(SyscallContext&, OpenFile&, IoVectors ranges, std::uint64_t*) {
    return total_size(ranges) == 0 ? 0 : -ENOSPC;
}

// The position is 0 and stays there.
std::int64_t stay(const SyscallContext&, OpenFile&, std::int64_t, int) { return 0; }

}  // namespace

constinit const FileKind kinds::null{
    .read = read_nothing, .write = discard, .seek = stay, .status = host_or_pseudo_status, .readiness = always_ready};
constinit const FileKind kinds::zero{.read = read_zeros,
                                     .write = discard,
                                     .seek = stay,
                                     .status = host_or_pseudo_status,
                                     .readiness = always_ready,
                                     .mapping = FileKind::Mapping::zeros};
constinit const FileKind kinds::full{
    .read = read_zeros, .write = refuse_data, .seek = stay, .status = host_or_pseudo_status, .readiness = always_ready};
constinit const FileKind kinds::random{
    .read = read_random, .write = discard, .seek = stay, .status = host_or_pseudo_status, .readiness = always_ready};

}  // namespace tinykvm::linux_abi
