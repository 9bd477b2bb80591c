// What a VM that waits keeps of the memory of its last request.
#pragma once

#include <cstddef>

namespace tinykvm::host {

// Bytes. A buffer that is no larger is kept for the next request; a larger one is given back.
inline constexpr std::size_t largest_idle_buffer = std::size_t{1} << 20;

}  // namespace tinykvm::host
