#include "src/delivery.hpp"

#include <algorithm>

#include "src/cacheability.hpp"

namespace tinykvm::vmod {

namespace {

enum vfp_status filter_init(VRT_CTX, struct vfp_ctx* context, struct vfp_entry* entry) {
    (void)ctx;
    const auto& cacheability = checked<Delivery>(entry->priv1)->response().cacheability;
    if (cacheability && context->oc != nullptr && (context->oc->flags & OC_F_HFM) == 0) {
        refine_times(context->oc, *cacheability);
    }
    return VFP_OK;
}

enum vfp_status filter_pull(struct vfp_ctx* context, struct vfp_entry* entry, void* to, ssize_t* size) {
    CHECK_OBJ_NOTNULL(context, VFP_CTX_MAGIC);
    return checked<Delivery>(entry->priv1)->pull(context, to, size);
}

void filter_fini(struct vfp_ctx*, struct vfp_entry* entry) { entry->priv1 = nullptr; }

const struct vfp* body_filter() {
    static const struct vfp filter = [] {
        struct vfp table {};
        table.name = "tinykvm";
        table.init = filter_init;
        table.pull = filter_pull;
        table.fini = filter_fini;
        return table;
    }();
    return &filter;
}

}  // namespace

bool Delivery::push_filter(struct vfp_ctx* context) {
    struct vfp_entry* entry = tinykvm_push_filter(context, body_filter());
    if (entry != nullptr) {
        entry->priv1 = this;
    }
    return entry != nullptr;
}

enum vfp_status Delivery::pull(struct vfp_ctx* context, void* to, ssize_t* size) {
    auto* out = static_cast<std::byte*>(to);
    const std::size_t room = static_cast<std::size_t>(*size);
    std::size_t done = 0;
    *size = 0;
    while (done < room && copied_ < response_.body_size) {
        if (!lease_) {
            return VFP_Error(context, "tinykvm: the body was released too early");
        }
        const std::span<const std::byte> piece = lease_->body(response_, copied_);
        if (piece.empty()) {
            return VFP_Error(context, "tinykvm: the body is not readable any more");
        }
        const std::size_t part = std::min(piece.size(), room - done);
        std::memcpy(out + done, piece.data(), part);
        done += part;
        copied_ += part;
    }
    *size = static_cast<ssize_t>(done);
    if (copied_ < response_.body_size) {
        return VFP_OK;
    }
    release_vm();
    return VFP_END;
}

}  // namespace tinykvm::vmod
