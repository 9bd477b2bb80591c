#include "tinykvm/linux/transfer.hpp"

#include <algorithm>

namespace tinykvm::linux_abi {

namespace {

// A transfer in either direction: `piece_at` returns the memory on the host for guest addresses, `move` moves the data.
template <typename PieceAt, typename Move>
std::int64_t transfer(SyscallContext& call, std::span<const IoVector> ranges, PieceAt piece_at, Move move) {
    std::int64_t done = 0;
    bool first = true;
    for (const IoVector& range : ranges) {
        std::uint64_t at = range.address, left = range.size;
        while (left > 0) {
            if (!first) call.waiter.check();
            first = false;
            const auto piece = piece_at(at, std::min<std::uint64_t>(left, transfer_piece));
            if (piece.empty()) return done > 0 ? done : -EFAULT;
            const std::int64_t moved = move(piece);
            if (moved < 0) return done > 0 ? done : moved;
            done += moved;
            if (static_cast<std::uint64_t>(moved) < piece.size()) return done;
            at += piece.size();
            left -= piece.size();
        }
    }
    return done;
}

// A piece of the buffer that takes the place of guest memory.
std::span<std::byte> buffered(const SyscallContext& call, std::uint64_t at, std::size_t size) {
    const std::size_t begin = std::min<std::uint64_t>(at, call.host_buffer.size());
    return call.host_buffer.subspan(begin, std::min(size, call.host_buffer.size() - begin));
}

}  // namespace

std::int64_t fill_guest(SyscallContext& call, std::span<const IoVector> ranges, const Producer& produce) {
    return transfer(
        call, ranges,
        [&](GuestAddr at, std::size_t size) {
            if (!call.host_buffer.empty()) return buffered(call, at, size);
            auto piece = call.memory.writable(at, size);
            call.memory.enforce_limit();
            return piece;
        },
        produce);
}

std::int64_t drain_guest(SyscallContext& call, std::span<const IoVector> ranges, const Consumer& consume) {
    return transfer(
        call, ranges,
        [&](GuestAddr at, std::size_t size) -> std::span<const std::byte> {
            if (!call.host_buffer.empty()) return buffered(call, at, size);
            return call.memory.readable(at, size);
        },
        consume);
}

std::int64_t fill_guest(SyscallContext& call, std::span<const IoVector> ranges, std::span<const std::byte> bytes) {
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) {
        const auto part = bytes.first(std::min(piece.size(), bytes.size()));
        std::copy(part.begin(), part.end(), piece.begin());
        bytes = bytes.subspan(part.size());
        return static_cast<std::int64_t>(part.size());
    });
}

std::int64_t fill_guest(SyscallContext& call, GuestAddr address, std::uint64_t size, const Producer& produce) {
    const IoVector range{address, std::min(size, max_transfer)};
    return fill_guest(call, std::span(&range, 1), produce);
}

std::int64_t drain_guest(SyscallContext& call, GuestAddr address, std::uint64_t size, const Consumer& consume) {
    const IoVector range{address, std::min(size, max_transfer)};
    return drain_guest(call, std::span(&range, 1), consume);
}

std::uint64_t total_size(std::span<const IoVector> ranges) {
    std::uint64_t total = 0;
    for (const IoVector& range : ranges) total += range.size;
    return total;
}

int read_vectors(const SyscallContext& call, GuestAddr address, std::uint64_t count, std::vector<IoVector>& ranges) {
    if (count > max_vectors) return -EINVAL;
    ranges.resize(count);
    if (count > 0 && !call.memory.read(address, ranges.data(), count * sizeof(IoVector))) return -EFAULT;
    std::uint64_t total = 0;
    for (IoVector& range : ranges) {
        if (range.size > static_cast<std::uint64_t>(INT64_MAX)) return -EINVAL;
        range.size = std::min(range.size, max_transfer - total);
        total += range.size;
    }
    return 0;
}

}  // namespace tinykvm::linux_abi
