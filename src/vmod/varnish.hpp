// Varnish's headers, for C++. Included by files of this directory only, and nowhere else.
//
// <cassert> comes first: after Varnish's headers it would silently turn their assert(), which leaves a panic
// message, back into libc's.
#pragma once

#include <cassert>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// Varnish's headers want those named before them.
// clang-format off
extern "C" {
#include "cache/cache.h"

#include "cache/cache_filter.h"
#include "vcl.h"
#include "vre.h"
#include "vsb.h"
#include "vtim.h"

#include "src/vmod/private_api.h"
#include "vcc_tinykvm_if.h"
}
// clang-format on

#include "src/vmod/varnish_versions.h"

namespace tinykvm::vmod {

// Our own objects that Varnish hands back to us as void pointers begin with a magic number, like its own.
template <typename T>
T* checked(void* pointer) {
    auto* object = static_cast<T*>(pointer);
    AN(object);
    assert(object->magic == T::expected_magic);
    return object;
}

}  // namespace tinykvm::vmod
