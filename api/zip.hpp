// Reading .zip archives that are in memory.
//
// libarchive reads them as well, but not inside varnishd: that exports the functions of a zlib of its own, which the
// libraries of the whole process then get instead of zlib's, and which are not compatible. So this is ours, on
// libdeflate, for what programs come in: members that are stored or deflated, below 4 GiB.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

#include "api/archive.hpp"

namespace tinykvm::api {

// Calls `take` with name and content of each regular file, and `check` in between. Throws what they throw, and Failure
// (host): "the archive ..." and what is wrong with it.
void for_each_in_zip(std::span<const std::byte> archive, const ArchiveLimits& limits,
                     const std::function<void()>& check,
                     const std::function<void(std::string_view name, std::span<const std::byte> content)>& take);

}  // namespace tinykvm::api
