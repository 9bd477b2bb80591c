// The director of a program: fetches go through it.
#pragma once

#include "src/vmod/chain.hpp"

namespace tinykvm::vmod {

// priv of such a director is a ProgramBackend.
const struct vdi_methods* director_methods();

// The backend that answers the current task's fetch with these links. Elsewhere it is the plain backend of the last
// program.
VCL_BACKEND backend_for_task(VRT_CTX, Links links);

}  // namespace tinykvm::vmod
