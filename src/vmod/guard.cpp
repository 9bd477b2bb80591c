#include "src/vmod/guard.hpp"

#include <new>
#include <string>

#include "src/vmod/log.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::vmod {

void report_exception(VRT_CTX, const char* function, const char* what) noexcept {
    try {
        const std::string text = "tinykvm." + std::string(function) + "(): " + what;
        if (ctx != nullptr && in_vcl_init(ctx)) {
            VRT_fail(ctx, "%s", printable_lines(text).c_str());
        } else {
            Log(ctx).error(text);
        }
    } catch (const std::bad_alloc&) {
        VSL(SLT_Error, NO_VXID, "tinykvm.%s(): there is no memory to say what is wrong", function);
    }
}

}  // namespace tinykvm::vmod
