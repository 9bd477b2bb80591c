// The body of a client's request on its way into guest memory.
#pragma once

#include "api/request_vm.hpp"
#include "src/varnish.hpp"

namespace tinykvm::vmod {

// Appends what there is of a body to the request that was begun in the VM. Throws api::Failure when it cannot
// be read or does not fit.
void read_request_body(struct busyobj* bo, api::RequestVm& vm);

}  // namespace tinykvm::vmod
