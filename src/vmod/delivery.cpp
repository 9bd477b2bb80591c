#include "src/vmod/delivery.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "src/base/failure.hpp"
#include "src/vmod/cacheability.hpp"
#include "src/vmod/log.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::vmod {

namespace {

// Copying so much takes less than a microsecond or two; without it a VM waits for Varnish to ask for the body.
constexpr std::size_t small_size = std::size_t{16} << 10;
// After so much Varnish can send it, and does while the next is copied.
constexpr std::size_t most_at_once = std::size_t{1} << 20;

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
    auto* delivery = checked<Delivery>(entry->priv1);
    const Log log(context->wrk->vsl);
    try {
        return delivery->pull(log, to, size);
    } catch (const host::Failure& failure) {
        delivery->drop_body(log);
        log.failure(delivery->program(), failure, SLT_Error);
        return VFP_Error(context, "tinykvm: %s", printable(failure.what()).c_str());
    } catch (const std::exception& error) {
        return VFP_Error(context, "tinykvm: %s", printable(error.what()).c_str());
    }
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

Delivery::Delivery(Answer answer, const Log& log) : answer_(std::move(answer)) {
    if (!response().stream && response().body_size <= small_size) {
        answer_.detach(log, small_size);
    }
}

bool Delivery::push_filter(struct vfp_ctx* context) {
    struct vfp_entry* entry = tinykvm_push_filter(context, body_filter());
    if (entry != nullptr) {
        entry->priv1 = this;
    }
    return entry != nullptr;
}

enum vfp_status Delivery::pull(const Log& log, void* to, ssize_t* size) {
    auto* out = static_cast<std::byte*>(to);
    const std::size_t room = std::min(static_cast<std::size_t>(*size), most_at_once);
    std::size_t done = 0;
    *size = 0;
    bool is_ended = copied_ == response().body_size;
    while (!is_ended && done < room) {
        const std::span<const std::byte> piece = answer_.body(copied_);
        if (piece.empty()) {
            is_ended = true;
            break;
        }
        const std::size_t part = std::min(piece.size(), room - done);
        std::memcpy(out + done, piece.data(), part);
        done += part;
        copied_ += part;
        is_ended = copied_ == response().body_size;
        if (response().stream) {
            break;  // Varnish sends what the program has made before it makes more
        }
    }
    *size = static_cast<ssize_t>(done);
    if (!is_ended) {
        return VFP_OK;
    }
    drop_body(log);
    return VFP_END;
}

}  // namespace tinykvm::vmod
