// The program in an archive: .tar.xz, .tar.zst or .zip. The archive is hostile input: one member is taken out of it,
// into memory; names are compared, never used as paths.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tinykvm::api {

struct ArchiveLimits {
    std::size_t max_program = std::size_t{1} << 30;  // bytes
    std::size_t max_unpacked = std::size_t{4} << 30;  // bytes of all members
    std::size_t max_members = 10000;
};

// By its first bytes.
bool is_archive(std::span<const std::byte> bytes);

// The ELF file among the regular files: the one whose name (without folders) is the first of `names` that any has, or
// else the only one. `check` is called every now and then and may throw to end it. Throws Failure (host) with what
// is wrong with the archive.
std::vector<std::byte> unpack_program(std::span<const std::byte> archive, const std::vector<std::string>& names,
                                      const std::function<void()>& check, const ArchiveLimits& limits = {});

}  // namespace tinykvm::api
