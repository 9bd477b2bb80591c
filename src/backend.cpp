#include "src/backend.hpp"

#include <stdexcept>

#include "src/cacheability.hpp"
#include "src/delivery.hpp"
#include "src/guard.hpp"
#include "src/header.hpp"
#include "src/log.hpp"
#include "src/request.hpp"
#include "src/request_body.hpp"
#include "src/vcl_state.hpp"

namespace tinykvm::vmod {

namespace {

// What VCL said about this fetch; in the workspace of the task.
struct FetchTask {
    static constexpr unsigned expected_magic = 0x7B4D0003;
    unsigned magic;
    const char* url;
    const char* argument;
};

const struct vmod_priv_methods task_methods[1] = {[] {
    struct vmod_priv_methods methods {};
    methods.magic = VMOD_PRIV_METHODS_MAGIC;
    methods.type = "tinykvm_fetch";
    return methods;
}()};

// What vcl_backend_error begins with.
void set_error(struct busyobj* bo, api::FailureKind kind) {
    if (kind == api::FailureKind::unsupported) {
        bo->err_code = 501;
        bo->err_reason = nullptr;
    } else if (api::is_program_failure(kind)) {
        bo->err_code = 500;
        bo->err_reason = nullptr;
    } else {
        bo->err_code = 503;
        bo->err_reason = "Backend fetch failed";
    }
}

int refuse(struct busyobj* bo, const Log& log, const std::string& program, const api::Failure& failure) {
    log.failure(program, failure, SLT_FetchError);
    set_error(bo, failure.kind());
    return -1;
}

bool is_head(const struct busyobj* bo) {
    return view(http_GetMethod(bo->bereq)) == "HEAD";
}

// Puts the answer into beresp and makes its body the source of the fetch.
void deliver(struct busyobj* bo, Delivery& delivery) {
    const api::Response& response = delivery.response();
    const bool has_no_body = response.status == 204 || response.status == 304;
    http_PutResponse(bo->beresp, "HTTP/1.1", static_cast<std::uint16_t>(response.status), nullptr);
    if (!has_no_body) {
        add_header(bo->beresp, "Content-Length: " + std::to_string(response.body_size));
    }
    if (!bo->uncacheable) {
        add_cache_control(bo->beresp, response);
    }
    add_headers(bo->beresp, response);
    apply_changes(bo->bereq, response.request_changes);
    if (WS_Overflowed(bo->ws)) {
        throw std::length_error("workspace_backend is too small for the headers of the response");
    }

    const bool sends_body = !has_no_body && !is_head(bo) && response.body_size != 0;
    if (!sends_body) {
        delivery.release_vm();
    }
    if ((sends_body || response.cacheability) && !delivery.push_filter(bo->vfc)) {
        throw std::length_error("workspace_backend is too small");
    }
    if (tinykvm_open_connection(bo, sends_body ? static_cast<ssize_t>(response.body_size) : 0, &delivery) != 0) {
        throw std::length_error("workspace_backend is too small");
    }
}

int fetch(VRT_CTX, const ProgramBackend& backend) {
    struct busyobj* bo = ctx->bo;
    const Log log(ctx);
    const std::string& program = backend.service->name();
    const FetchTask* task = nullptr;
    if (const struct vmod_priv* priv = VRT_priv_task_get(ctx, &backend); priv != nullptr) {
        task = checked<FetchTask>(priv->priv);
    }
    const VarnishRequest request(bo->bereq, task != nullptr ? view(task->url) : std::string_view(),
                                 task != nullptr ? view(task->argument) : std::string_view());
    const api::ClientGone gone = client_gone(ctx);
    api::Outcome outcome;
    api::Lease lease;
    try {
        lease = backend.service->acquire(gone);
        lease->begin(request.request());
        read_request_body(bo, *lease);
        outcome = lease->run(gone);
    } catch (const api::Failure& failure) {
        return refuse(bo, log, program, failure);
    }
    log.outcome(program, outcome, SLT_FetchError);
    if (!outcome.answered) {
        set_error(bo, outcome.failures.back().kind());
        return -1;
    }
    auto delivery = std::make_unique<Delivery>(std::move(lease), std::move(outcome.response));
    deliver(bo, *delivery);
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
    return guarded(ctx, "healthy", 0U,
                   [&] { return checked<ProgramBackend>(director->priv)->service->healthy() ? 1U : 0U; });
}

}  // namespace

const struct vdi_methods* director_methods() {
    static const struct vdi_methods methods = [] {
        struct vdi_methods table {};
        table.magic = VDI_METHODS_MAGIC;
        table.type = "tinykvm";
        table.healthy = director_healthy;
        table.gethdrs = director_gethdrs;
        table.finish = director_finish;
        return table;
    }();
    return &methods;
}

VCL_BACKEND backend_for_task(VRT_CTX, ProgramBackend& backend, VCL_STRING url, VCL_STRING argument) {
    if (ctx->bo == nullptr) {
        return backend.director;
    }
    struct vmod_priv* priv = VRT_priv_task(ctx, &backend);
    auto* task = static_cast<FetchTask*>(WS_Alloc(ctx->ws, sizeof(FetchTask)));
    if (priv == nullptr || task == nullptr) {
        throw std::length_error("workspace_backend is too small");
    }
    task->magic = FetchTask::expected_magic;
    task->url = url;
    task->argument = argument;
    priv->priv = task;
    priv->len = sizeof *task;
    priv->methods = task_methods;
    return backend.director;
}

}  // namespace tinykvm::vmod
