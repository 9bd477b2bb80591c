// Is an image that was read from a file one that AddressSpace could have made? What the host follows without looking
// must be right, whoever wrote the file: page tables above all, which no guest can write.
//
// Thread safety: one thread. Errors: Malformed says what is wrong.
#pragma once

#include "tinykvm/memory/image.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/run.hpp"

namespace tinykvm::cold {

void check_image(const MemoryImage& image, const Options& options, const RequestArea& request_area);

}  // namespace tinykvm::cold
