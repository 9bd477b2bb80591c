// Programs run in the middle of VCL, for a string, a blob or a synthetic response.
#pragma once

#include "src/vmod/chain.hpp"

namespace tinykvm::vmod {

// Each runs the links. The strings and blobs are in the workspace of the task.
VCL_STRING run_to_string(VRT_CTX, const Links& links, VCL_STRING on_error);
VCL_BLOB run_to_blob(VRT_CTX, const Links& links);  // empty when it fails
VCL_INT run_synth(VRT_CTX, const Links& links, VCL_INT status);

}  // namespace tinykvm::vmod
