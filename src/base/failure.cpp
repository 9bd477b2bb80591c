#include "src/base/failure.hpp"

namespace tinykvm::host {

const char* to_string(FailureKind kind) {
    switch (kind) {
        case FailureKind::crashed: return "crashed";
        case FailureKind::timed_out: return "timed out";
        case FailureKind::out_of_memory: return "out of memory";
        case FailureKind::no_answer: return "no answer";
        case FailureKind::invalid_answer: return "invalid answer";
        case FailureKind::unsupported: return "unsupported request";
        case FailureKind::too_large: return "request too large";
        case FailureKind::too_slow: return "client too slow";
        case FailureKind::client_gone: return "client gone";
        case FailureKind::busy: return "busy";
        case FailureKind::not_ready: return "not ready";
        case FailureKind::host_error: return "host error";
        case FailureKind::shutting_down: return "shutting down";
    }
    return "unknown failure";
}

bool is_program_failure(FailureKind kind) {
    switch (kind) {
        case FailureKind::crashed:
        case FailureKind::timed_out:
        case FailureKind::out_of_memory:
        case FailureKind::no_answer:
        case FailureKind::invalid_answer:
        case FailureKind::unsupported: return true;
        case FailureKind::too_large:
        case FailureKind::too_slow:
        case FailureKind::client_gone:
        case FailureKind::busy:
        case FailureKind::not_ready:
        case FailureKind::host_error:
        case FailureKind::shutting_down: return false;
    }
    return false;
}

Failure failure_for(const Stop& stop) {
    std::string what;
    switch (stop.reason) {
        case Stop::Reason::host_call: what = "the program stopped without an answer"; break;
        case Stop::Reason::exited:
            what = "the program exited with status " + std::to_string(stop.exit_status) + " instead of answering";
            break;
        case Stop::Reason::at_entry:
        case Stop::Reason::needs_input:
        case Stop::Reason::has_output: what = "the program waits for input instead of answering"; break;
        case Stop::Reason::returned: what = "the callback returned without an answer"; break;
    }
    return {FailureKind::no_answer, what};
}

}  // namespace tinykvm::host
