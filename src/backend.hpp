// The director of a program: fetches go through it.
#pragma once

#include "src/varnish.hpp"

namespace tinykvm::vmod {

struct ProgramBackend;

// priv of such a director is a ProgramBackend.
const struct vdi_methods* director_methods();

// The backend of a program for the current task; in a fetch with what the program shall see as its URL (empty:
// that of the request) and argument.
VCL_BACKEND backend_for_task(VRT_CTX, ProgramBackend& backend, VCL_STRING url, VCL_STRING argument);

}  // namespace tinykvm::vmod
