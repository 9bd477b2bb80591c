// Programs run in the middle of VCL, for a string or a synthetic response.
#pragma once

#include "src/varnish.hpp"

namespace tinykvm::vmod {

struct ProgramBackend;

struct StringCall {
    VCL_STRING url, argument;
    VCL_STRING on_error;
    VCL_INT error_threshold;
};
VCL_STRING run_to_string(VRT_CTX, const ProgramBackend& backend, const StringCall& call);

VCL_INT run_synth(VRT_CTX, const ProgramBackend& backend, VCL_INT status, VCL_STRING url, VCL_STRING argument);

}  // namespace tinykvm::vmod
