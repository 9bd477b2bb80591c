// Reading .zip archives that are in memory.
//
// libarchive reads them as well, but not inside varnishd: that exports the functions of a zlib of its own, which the
// libraries of the whole process then get instead of zlib's, and which are not compatible. So this is a reader of our
// own, with a decoder whose functions have other names. It reads what programs come in: members that are stored or
// deflated, below 4 GiB.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "src/source/archive.hpp"

namespace tinykvm::host {

// Calls `take` for each regular file, and `check` in between. Nothing of a file is unpacked but what is read of it;
// when all of it was, it has the size and the checksum the archive says. Throws what they throw, and Failure
// (host_error): "the archive ..." and what is wrong with it.
void for_each_in_zip(std::span<const std::byte> archive, std::size_t max_members, const std::function<void()>& check,
                     const std::function<void(const ArchivedFile&)>& take);

}  // namespace tinykvm::host
