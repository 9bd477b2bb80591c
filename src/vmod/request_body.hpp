// The body of a client's request, on its way into guest memory or elsewhere.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "src/vmod/varnish.hpp"
#include "src/vms/request_vm.hpp"

namespace tinykvm::vmod {

// Hands what there is of a body to `take`, piece by piece. Throws host::Failure when it cannot be read, or is gone
// because the request was restarted without keeping it, or what `take` throws of that kind.
using TakePiece = std::function<void(std::span<const std::byte>)>;
void read_request_body(struct busyobj* bo, const TakePiece& take);

// Appends what there is of a body to the request that was begun in the VM. Throws host::Failure when it cannot
// be read, does not fit, or comes too slowly (src/vmod/body_pace.hpp).
void read_request_body(struct busyobj* bo, host::RequestVm& vm);

}  // namespace tinykvm::vmod
