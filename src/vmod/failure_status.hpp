// What a client is told of a program that has failed.
//
// Thread safety: a pure function.
#pragma once

#include "src/base/failure.hpp"

namespace tinykvm::vmod {

// The status of the response to a request that ended like that. 503 when another request may well be answered.
inline int status_of(host::FailureKind kind) {
    switch (kind) {
        case host::FailureKind::unsupported: return 501;
        case host::FailureKind::too_slow: return 408;
        case host::FailureKind::too_large: return 413;
        case host::FailureKind::crashed:
        case host::FailureKind::timed_out:
        case host::FailureKind::out_of_memory:
        case host::FailureKind::no_answer:
        case host::FailureKind::invalid_answer: return 500;
        case host::FailureKind::client_gone:
        case host::FailureKind::busy:
        case host::FailureKind::not_ready:
        case host::FailureKind::host_error:
        case host::FailureKind::shutting_down: break;
    }
    return 503;
}

}  // namespace tinykvm::vmod
