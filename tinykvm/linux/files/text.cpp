// Files whose text was made when they were opened, such as /proc/self/maps.
#include <algorithm>
#include <cstring>

#include "tinykvm/linux/file_status.hpp"
#include "tinykvm/linux/transfer.hpp"

namespace tinykvm::linux_abi {

namespace {

std::int64_t read_text(SyscallContext& call, OpenFile& file, IoVectors ranges, std::uint64_t* position) {
    std::uint64_t& offset = position ? *position : file.offset;
    const std::string& text = *file.text;
    return fill_guest(call, ranges, [&](std::span<std::byte> piece) -> std::int64_t {
        if (offset >= text.size()) return 0;
        const std::size_t size = std::min(piece.size(), text.size() - offset);
        std::memcpy(piece.data(), text.data() + offset, size);
        offset += size;
        return static_cast<std::int64_t>(size);
    });
}

std::int64_t seek(const SyscallContext&, OpenFile& file, std::int64_t offset, int whence) {
    return file.move_to(offset, whence);
}

std::int64_t available(const SyscallContext&, const OpenFile& file) { return file.bytes_left(); }

}  // namespace

constinit const FileKind kinds::text{.read = read_text,
                                     .seek = seek,
                                     .status = host_or_pseudo_status,
                                     .readiness = always_ready,
                                     .available = available};

}  // namespace tinykvm::linux_abi
