// What backend.list and a panic of Varnish say about the director of a program.
//
// Threads: list is called on the CLI thread; panic on the thread that panics, in any state of the process.
#pragma once

#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// Methods of struct vdi_methods; priv of the director is a ProgramBackend.
vdi_list_f director_list;
vdi_panic_f director_panic;

}  // namespace tinykvm::vmod
