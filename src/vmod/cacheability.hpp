// For how long a program's response may be cached, in terms Varnish and VCL work with.
#pragma once

#include <string>

#include "src/calls/response.hpp"
#include "src/vmod/log.hpp"
#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// Says it in a Cache-Control header, from which Varnish computes beresp.ttl and beresp.grace for vcl_backend_response
// to see and change. The response of a program that says nothing, not even in its own headers, is not cached.
void add_cache_control(struct http* beresp, const host::Response& response);

// Has it a header about caching?
bool speaks_for_itself(const host::Response& response);

// Says so when Varnish will not do what the program asks for, because of the status of its response.
void log_status_not_cached(const Log& log, const std::string& program, const host::Response& response);

// After vcl_backend_response: fractions of seconds and the keep time, which headers cannot say, unless VCL set
// something else.
void refine_times(struct objcore* object, const host::Cacheability& wanted);

// All of it at once, where Varnish does not look at headers (vcl_backend_error).
void set_times(struct objcore* object, const host::Cacheability& wanted);

}  // namespace tinykvm::vmod
