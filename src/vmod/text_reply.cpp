#include "src/vmod/text_reply.hpp"

#include <algorithm>
#include <string>

#include "src/vmod/errors.hpp"
#include "src/vmod/header.hpp"
#include "src/vmod/varnish_request.hpp"

namespace tinykvm::vmod {

namespace {

// The text of a reply, in the workspace of the fetch.
struct Text {
    static constexpr unsigned expected_magic = 0x7B4D0005;
    unsigned magic;
    const char* at;
    std::size_t left;
};

enum vfp_status pull(struct vfp_ctx* context, struct vfp_entry* entry, void* to, ssize_t* size) {
    CHECK_OBJ_NOTNULL(context, VFP_CTX_MAGIC);
    auto* text = checked<Text>(entry->priv1);
    const std::size_t part = std::min(text->left, static_cast<std::size_t>(*size));
    std::memcpy(to, text->at, part);
    text->at += part;
    text->left -= part;
    *size = static_cast<ssize_t>(part);
    return text->left == 0 ? VFP_END : VFP_OK;
}

const struct vfp* text_filter() {
    static const struct vfp filter = [] {
        struct vfp table {};
        table.name = "tinykvm_text";
        table.pull = pull;
        return table;
    }();
    return &filter;
}

}  // namespace

void reply_with_text(struct busyobj* bo, std::uint16_t status, std::string_view text) {
    http_PutResponse(bo->beresp, "HTTP/1.1", status, nullptr);
    add_header(bo->beresp, "Content-Type: text/plain");
    add_header(bo->beresp, "Content-Length: " + std::to_string(text.size()));
    add_header(bo->beresp, "Cache-Control: no-store");
    const bool sends_body = !text.empty() && view(http_GetMethod(bo->bereq)) != "HEAD";
    bool fits = true;
    if (sends_body) {
        auto* source = static_cast<Text*>(WS_Alloc(bo->ws, sizeof(Text)));
        const auto* copy = static_cast<const char*>(WS_Copy(bo->ws, text.data(), static_cast<int>(text.size())));
        struct vfp_entry* entry = tinykvm_push_filter(bo->vfc, text_filter());
        fits = source != nullptr && copy != nullptr && entry != nullptr;
        if (fits) {
            *source = {Text::expected_magic, copy, text.size()};
            entry->priv1 = source;
        }
    }
    if (!fits || WS_Overflowed(bo->ws) ||
        tinykvm_open_connection(bo, sends_body ? static_cast<ssize_t>(text.size()) : 0, nullptr) != 0) {
        throw NoRoom("workspace_backend is too small");
    }
}

void finish_text_reply(VRT_CTX, VCL_BACKEND) {
    CHECK_OBJ_NOTNULL(ctx->bo, BUSYOBJ_MAGIC);
    (void)tinykvm_close_connection(ctx->bo);
}

}  // namespace tinykvm::vmod
