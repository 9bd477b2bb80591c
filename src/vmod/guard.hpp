// C++ exceptions never reach the C frames of Varnish: every function that Varnish calls runs its body in guarded().
//
// Thread safety: the thread of the VRT context.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// Says what went wrong in a function of the VMOD. While a VCL is loaded this fails the load; later it is a line in the
// log.
void report_exception(VRT_CTX, const char* function, const char* what) noexcept;

// What `body` returns, or `fallback` after it has thrown, which is reported.
template <typename Result, typename Body>
Result guarded(VRT_CTX, const char* function, Result fallback, Body&& body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (const std::exception& error) {
        report_exception(ctx, function, error.what());
    } catch (...) {
        report_exception(ctx, function, "unknown exception");
    }
    return fallback;
}

// Is this call made while the VCL is loaded?
inline bool in_vcl_init(VRT_CTX) { return ctx->method == VCL_MET_INIT; }

}  // namespace tinykvm::vmod
