// Which self-requests a request is inside of (src/fetch/self_requests.hpp).
#pragma once

#include "src/fetch/wait_graph.hpp"

namespace tinykvm::host {

struct SelfRequestOrigin {
    unsigned depth = 0;         // how many
    WaitGraph::Id request = 0;  // the innermost one, which waits for it; 0: none does
};

}  // namespace tinykvm::host
