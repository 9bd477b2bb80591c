// An answer to a fetch that we give ourselves, with a short text as its body: for directors that are no programs.
//
// Thread safety: the thread of the fetch.
#pragma once

#include <cstdint>
#include <string_view>

#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// Called by gethdrs, which then returns 0. It is never cached. Throws NoRoom when the workspace is full.
void reply_with_text(struct busyobj* bo, std::uint16_t status, std::string_view text);

// The finish method of such directors.
void finish_text_reply(VRT_CTX, VCL_BACKEND);

}  // namespace tinykvm::vmod
