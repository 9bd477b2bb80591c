#include "src/vmod/backend.hpp"

#include <memory>
#include <utility>

#include "src/vmod/backend_display.hpp"
#include "src/vmod/cacheability.hpp"
#include "src/vmod/delivery.hpp"
#include "src/vmod/errors.hpp"
#include "src/vmod/failure_status.hpp"
#include "src/vmod/guard.hpp"
#include "src/vmod/header.hpp"
#include "src/vmod/log.hpp"
#include "src/vmod/pipe.hpp"
#include "src/vmod/varnish_request.hpp"
#include "src/vmod/vcl_state.hpp"

namespace tinykvm::vmod {

namespace {

// Sets the status and reason that vcl_backend_error begins with.
void set_error(struct busyobj* bo, host::FailureKind kind) {
    bo->err_code = static_cast<std::uint16_t>(status_of(kind));
    bo->err_reason = bo->err_code == 503 ? "Backend fetch failed" : nullptr;  // null: the usual reason of the status
}

bool is_head(const struct busyobj* bo) { return view(http_GetMethod(bo->bereq)) == "HEAD"; }

// May the answer be a 304? Varnish delivers one of a pass also to clients that did not ask for it.
bool is_conditional(const struct busyobj* bo) {
    return http_GetHdr(bo->bereq, H_If_None_Match, nullptr) != 0 ||
           http_GetHdr(bo->bereq, H_If_Modified_Since, nullptr) != 0;
}

// Puts the answer into beresp and makes its body the source of the fetch.
void deliver(struct busyobj* bo, const Log& log, Delivery& delivery) {
    const host::Response& response = delivery.response();
    const bool has_no_length = response.status == 204 || response.status == 304;
    const bool has_no_body =
        has_no_length || response.status == 205;  // RFC 9110: no content, which the length has to say
    http_PutResponse(bo->beresp, "HTTP/1.1", static_cast<std::uint16_t>(response.status), nullptr);
    const bool has_known_size = response.body_size != host::Response::unknown_size;
    if (!has_no_length && (has_known_size || has_no_body)) {
        add_header(bo->beresp, "Content-Length: " + std::to_string(has_no_body ? 0 : response.body_size));
    }
    if (!bo->uncacheable) {
        add_cache_control(bo->beresp, response);
        log_status_not_cached(log, delivery.program(), response);
    }
    add_headers(bo->beresp, response);
    apply_changes(bo->bereq, response.request_changes);
    if (WS_Overflowed(bo->ws)) {
        throw NoRoom("workspace_backend is too small for the headers of the response");
    }

    const bool sends_body = !has_no_body && !is_head(bo) && response.body_size != 0;
    if (!sends_body) {
        delivery.drop_body(log);
    }
    if ((sends_body || response.cacheability) && !delivery.push_filter(bo->vfc)) {
        throw NoRoom("workspace_backend is too small");
    }
    const ssize_t length = !sends_body ? 0 : has_known_size ? static_cast<ssize_t>(response.body_size) : -1;
    if (tinykvm_open_connection(bo, length, &delivery) != 0) {
        throw NoRoom("workspace_backend is too small");
    }
}

// What VCL said about this task; when it said nothing, `plain` becomes a link of the backend alone.
const Links& wanted_links(VRT_CTX, const ProgramBackend& backend, Links& plain) {
    if (const Links* wanted = find_links_of_task(ctx, &backend); wanted != nullptr) {
        return *wanted;
    }
    plain.push_back({.backend = &backend});
    return plain;
}

int fetch(VRT_CTX, const ProgramBackend& backend) {
    struct busyobj* bo = ctx->bo;
    Links plain;
    ChainResult result = run_chain(ctx, wanted_links(ctx, backend, plain), ChainInput::backend_request);
    if (!result.answer) {
        set_error(bo, result.failure);
        return -1;
    }
    const Log log(ctx);
    if (result.answer->response().status == 304 && !is_conditional(bo)) {
        log.line(SLT_FetchError, "tinykvm: " + *result.program + ": status 304 for a request without a condition");
        set_error(bo, host::FailureKind::invalid_answer);
        return -1;
    }
    auto delivery = std::make_unique<Delivery>(*std::move(result.answer), log);
    deliver(bo, log, *delivery);
    (void)delivery.release();  // finish() deletes it
    return 0;
}

int director_gethdrs(VRT_CTX, VCL_BACKEND director) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    CHECK_OBJ_NOTNULL(director, DIRECTOR_MAGIC);
    CHECK_OBJ_NOTNULL(ctx->bo, BUSYOBJ_MAGIC);
    AZ(ctx->bo->htc);
    return guarded(ctx, "to_backend", -1, [&] { return fetch(ctx, *checked<ProgramBackend>(director->priv)); });
}

stream_close_t director_http1pipe(VRT_CTX, VCL_BACKEND director) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    CHECK_OBJ_NOTNULL(director, DIRECTOR_MAGIC);
    CHECK_OBJ_NOTNULL(ctx->req, REQ_MAGIC);
    CHECK_OBJ_NOTNULL(ctx->bo, BUSYOBJ_MAGIC);
    return guarded(ctx, "to_backend", stream_close_t{SC_TX_ERROR}, [&] {
        Links plain;
        return pipe_to_program(ctx, wanted_links(ctx, *checked<ProgramBackend>(director->priv), plain));
    });
}

void director_finish(VRT_CTX, VCL_BACKEND) {
    CHECK_OBJ_NOTNULL(ctx->bo, BUSYOBJ_MAGIC);
    if (void* priv = tinykvm_close_connection(ctx->bo); priv != nullptr) {
        delete checked<Delivery>(priv);
    }
}

VCL_BOOL director_healthy(VRT_CTX, VCL_BACKEND director, VCL_TIME* changed) {
    if (changed != nullptr) {
        *changed = 0;
    }
    return guarded(ctx, "healthy", 0U, [&] {
        const host::ProgramService* service = checked<ProgramBackend>(director->priv)->service;
        return service == nullptr || service->healthy() ? 1U : 0U;
    });
}

}  // namespace

const struct vdi_methods* director_methods() {
    static const struct vdi_methods methods = [] {
        struct vdi_methods table {};
        table.magic = VDI_METHODS_MAGIC;
        table.type = "tinykvm";
        table.healthy = director_healthy;
        table.gethdrs = director_gethdrs;
        table.http1pipe = director_http1pipe;
        table.finish = director_finish;
        table.panic = director_panic;
        table.list = director_list;
        return table;
    }();
    return &methods;
}

VCL_BACKEND backend_for_task(VRT_CTX, Links links) {
    const ProgramBackend& backend = *links.back().backend;
    if (ctx->bo != nullptr) {
        links_of_task(ctx, &backend) = std::move(links);
    } else if (links.size() > 1) {
        Log(ctx).error("tinykvm: to_backend() runs no chain here, only in vcl_backend_fetch");
    }
    return backend.director;
}

}  // namespace tinykvm::vmod
