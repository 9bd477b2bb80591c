// Programs that answer a request one after the other: what one answers is POSTed to the next, and the answer of the
// last is the response. One program alone is a chain of one link; everything that runs programs for Varnish does it
// here.
//
// Thread safety: the thread of the task.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "src/base/failure.hpp"
#include "src/vmod/answer.hpp"
#include "src/vmod/vcl_state.hpp"

namespace tinykvm::vmod {

// A program and what it is run with. Owns its strings: VCL's are in a workspace that a rollback takes back.
struct Link {
    static constexpr VCL_INT no_threshold = std::numeric_limits<VCL_INT>::max();

    const ProgramBackend* backend = nullptr;
    std::string url = {};  // empty: that of the request
    std::string argument = {};
    VCL_INT error_threshold = no_threshold;  // an answer with this status or a higher one ends the chain
    bool soft_reset = false;                 // see host::Request
};
using Links = std::vector<Link>;

// How many links VCL may queue before the call that runs them.
inline constexpr std::size_t max_queued_links = 16;

// The links that belong to the current task, stored under the address `id`. They are gone with the task, or when it is
// rolled back. Throws NoRoom when there is no workspace for a new entry.
Links& links_of_task(VRT_CTX, const void* id);
Links* find_links_of_task(VRT_CTX, const void* id);  // null: there are none

// What the first program of a chain gets.
enum class ChainInput {
    backend_request,  // the request of the fetch with its body
    get,              // a GET with the headers of the current request
};

struct ChainResult {
    const std::string* program = nullptr;  // the one that answered or failed
    std::optional<Answer> answer;          // none: it failed, and the log says how
    bool over_threshold = false;           // the status of the answer is an error to the caller
    host::FailureKind failure = host::FailureKind::host_error;
};

// Runs the links in order, at least one, and logs what they say and how they fail.
ChainResult run_chain(VRT_CTX, const Links& links, ChainInput input);

}  // namespace tinykvm::vmod
