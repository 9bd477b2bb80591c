// C++ exceptions never reach Varnish's C: every function it calls goes through here.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// While a VCL is loaded, a failure fails the load with the message; later it is a log line and the fallback is
// the result.
void report_exception(VRT_CTX, const char* function, const char* what) noexcept;

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
