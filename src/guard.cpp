#include "src/guard.hpp"

#include <algorithm>

#include "src/log.hpp"

namespace tinykvm::vmod {

void report_exception(VRT_CTX, const char* function, const char* what) noexcept {
    char text[1024];
    std::snprintf(text, sizeof text, "tinykvm.%s(): %s", function, what);
    std::replace(text, text + std::strlen(text), '\n', ' ');
    if (ctx != nullptr && in_vcl_init(ctx)) {
        VRT_fail(ctx, "%s", text);
    } else {
        Log(ctx).error(text);
    }
}

}  // namespace tinykvm::vmod
