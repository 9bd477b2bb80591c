// What VCL does to programs rather than with them.
#pragma once

#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

struct ProgramBackend;
class VclState;

// How many were unloaded. Throws VclError for a bad regular expression; nothing has happened then.
VCL_INT invalidate_programs(VRT_CTX, VclState& state, const char* regex);

// JSON in the workspace; empty, and a line in the log, when it does not fit. Throws VclError for a bad
// regular expression.
VCL_STRING program_statistics(VRT_CTX, VclState& state, const char* regex, VCL_INT indentation);

// Throws VclError when they are too many or too long.
void set_main_arguments(const ProgramBackend& backend, VCL_STRANDS arguments);

}  // namespace tinykvm::vmod
