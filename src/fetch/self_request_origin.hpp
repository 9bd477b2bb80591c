// Which self-requests a request is inside of (src/fetch/self_requests.hpp).
#pragma once

#include "src/fetch/wait_graph.hpp"

namespace tinykvm::host {

struct SelfRequestOrigin {
    unsigned depth = 0;         // how many self-requests it is inside of
    WaitGraph::Id request = 0;  // the innermost of them, which waits for this request; 0: none waits
};

}  // namespace tinykvm::host
