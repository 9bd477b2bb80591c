// Programs replaced by a new binary while they serve requests: from a POST with the right key, or from a file.
#pragma once

#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

struct ProgramBackend;
class VclState;

// The methods of the one director that each VCL has for this. What it does is said for each task by
// live_update_for_task().
const struct vdi_methods* live_update_methods();

// Returns `director`, with what it shall do in this fetch.
VCL_BACKEND live_update_for_task(VRT_CTX, VCL_BACKEND director, const ProgramBackend& backend, VCL_STRING key,
                                 VCL_BYTES max_size);

// Throws host::Failure or LoadError with the reason why the program is the old one still.
void live_update_from_file(VRT_CTX, const ProgramBackend& backend, VCL_STRING filename);

}  // namespace tinykvm::vmod
