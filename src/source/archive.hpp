// The program in an archive: .tar.xz, .tar.zst or .zip. The archive is hostile input: one member is taken out of it,
// into memory; names are compared, never used as paths. However much it unpacks to, that takes no more memory than the
// program may have, what its decoder may have, and 32 MiB.
//
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/size_limit.hpp"

namespace tinykvm::host {

struct ArchiveLimits {
    SizeLimit program{most_program_bytes};
    std::size_t max_unpacked = std::size_t{4} << 30;  // bytes of a tar
    std::size_t max_members = 10000;

    // The memory of a decoder's dictionary or window: what `xz -9` and `zstd --ultra -20` ask for, or as much as the
    // program.
    std::size_t max_decoder_memory() const { return std::max(program.bytes, std::size_t{72} << 20); }
};

// A regular file in an archive.
struct ArchivedFile {
    std::string_view path;
    std::uint64_t size;  // as the archive says
    // Reads the next bytes of its content. Fewer than there is room for are the last ones.
    std::function<std::size_t(std::span<std::byte> room)> read;
};

// Is this an archive, by its first bytes?
bool is_archive(std::span<const std::byte> bytes);

// The ELF file among the regular files: the one whose name (without folders) is the first of `names` that any has, or
// else the only one. `check` is called now and then, and may throw, which ends the search. Throws Failure (host_error)
// with what is wrong with the archive.
std::vector<std::byte> unpack_program(std::span<const std::byte> archive, const std::vector<std::string>& names,
                                      const std::function<void()>& check, const ArchiveLimits& limits = {});

}  // namespace tinykvm::host
