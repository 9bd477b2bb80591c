#include "src/vmod/live_update.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "src/vmod/errors.hpp"
#include "src/vmod/guard.hpp"
#include "src/vmod/log.hpp"
#include "src/vmod/request_body.hpp"
#include "src/vmod/text_reply.hpp"
#include "src/vmod/update_key.hpp"
#include "src/vmod/varnish_request.hpp"
#include "src/vmod/vcl_state.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::vmod {

namespace {

// What VCL said about this fetch; in the workspace of the task.
struct UpdateTask {
    static constexpr unsigned expected_magic = 0x7B4D0006;
    unsigned magic;
    host::ProgramService* service;
    bool key_is_right;
    std::size_t max_size;
    bool is_max_memory;  // max_size is max_memory, not what VCL said
};

const struct vmod_priv_methods task_methods[1] = {[] {
    struct vmod_priv_methods methods {};
    methods.magic = VMOD_PRIV_METHODS_MAGIC;
    methods.type = "tinykvm_live_update";
    return methods;
}()};

// Why there is no update: the log hears all of it, the client only what is safe to tell.
struct Refusal : Error {
    Refusal(std::uint16_t its_status, const char* its_answer, const std::string& reason)
        : Error(reason), status(its_status), answer(its_answer) {}

    std::uint16_t status;
    const char* answer;
};

Refusal too_large(const UpdateTask& task) {
    return {
        413, "the new program is too large\n",
        "the body is " + (task.is_max_memory ? program_size_limit(task.max_size).exceeded()
                                             : "larger than max_size (" + std::to_string(task.max_size) + " bytes)")};
}

std::vector<std::byte> read_binary(struct busyobj* bo, const UpdateTask& task) {
    const std::size_t max_size = task.max_size;
    std::vector<std::byte> bytes;
    if (const ssize_t size = http_GetContentLength(bo->bereq); size > 0) {
        if (static_cast<std::size_t>(size) > max_size) {
            throw too_large(task);
        }
        bytes.reserve(static_cast<std::size_t>(size));
    }
    bool fits = true;
    try {
        read_request_body(bo, [&](std::span<const std::byte> piece) {
            fits = piece.size() <= max_size - bytes.size();
            if (!fits) {
                throw host::Failure(host::FailureKind::too_large, "the body is too large");
            }
            bytes.insert(bytes.end(), piece.begin(), piece.end());
        });
    } catch (const host::Failure& failure) {
        if (!fits) {
            throw too_large(task);
        }
        throw Refusal{400, "the new program did not arrive as a whole\n", failure.what()};
    }
    return bytes;
}

void update(VRT_CTX, host::ProgramService& service, std::shared_ptr<const Program> binary) {
    const std::size_t size = binary->size();
    service.update(std::move(binary));
    Log(ctx).line(SLT_VCL_Log,
                  "tinykvm: " + service.name() + ": updated to a program of " + std::to_string(size) + " bytes");
}

void update_from_body(VRT_CTX, const UpdateTask& task) {
    struct busyobj* bo = ctx->bo;
    if (!task.key_is_right) {
        const std::string& refusal = task.service->refusal();
        throw Refusal{403, "forbidden\n",
                      !refusal.empty()                     ? "the program is not served: " + refusal
                      : task.service->config().key.empty() ? "no key is configured"
                                                           : "the key is wrong"};
    }
    if (const std::string_view method = view(http_GetMethod(bo->bereq)); method != "POST") {
        throw Refusal{405, "a live update is a POST of the new program\n",
                      "the request is a " + std::string(method) + ", not a POST"};
    }
    std::vector<std::byte> bytes = read_binary(bo, task);
    // The binary has the name of the file it replaces, which is not what is wrong when it cannot be loaded.
    const std::string& filename = task.service->config().filename;
    const std::string name = filename.empty() ? task.service->name() : filename;
    std::shared_ptr<const Program> binary;
    try {
        binary = Program::from_bytes(std::move(bytes), name);
    } catch (const LoadError& error) {
        std::string_view what = error.what();
        what.remove_prefix(what.starts_with(name + ": ") ? name.size() : 0);
        throw Refusal{400, "that is not a program for 64-bit x86 Linux\n",
                      "the body of the request" + std::string(what)};
    }
    try {
        update(ctx, *task.service, std::move(binary));
    } catch (const host::Failure& failure) {
        switch (failure.kind()) {
            case host::FailureKind::busy:
                throw Refusal{409, "another live update of this program is under way\n", failure.what()};
            case host::FailureKind::not_ready:
                throw Refusal{422, "the new program did not start; the old one stays\n", failure.what()};
            case host::FailureKind::crashed:
            case host::FailureKind::timed_out:
            case host::FailureKind::out_of_memory:
            case host::FailureKind::no_answer:
            case host::FailureKind::invalid_answer:
            case host::FailureKind::unsupported:
            case host::FailureKind::too_large:
            case host::FailureKind::too_slow:
            case host::FailureKind::client_gone:
            case host::FailureKind::host_error:
            case host::FailureKind::shutting_down:
                throw Refusal{503, "no live update is possible now; the old program stays\n", failure.what()};
        }
    }
}

int fetch(VRT_CTX, VCL_BACKEND director) {
    const struct vmod_priv* priv = VRT_priv_task_get(ctx, director);
    if (priv == nullptr) {
        return -1;
    }
    const auto* task = checked<UpdateTask>(priv->priv);
    try {
        update_from_body(ctx, *task);
        reply_with_text(ctx->bo, 201, "updated\n");
    } catch (const Refusal& refusal) {
        Log(ctx).error("tinykvm: " + task->service->name() + ": no live update: " + refusal.what());
        reply_with_text(ctx->bo, refusal.status, refusal.answer);
        if (refusal.status == 405) {
            http_SetHeader(ctx->bo->beresp, "Allow: POST");
        }
    }
    return 0;
}

int director_gethdrs(VRT_CTX, VCL_BACKEND director) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    CHECK_OBJ_NOTNULL(director, DIRECTOR_MAGIC);
    CHECK_OBJ_NOTNULL(ctx->bo, BUSYOBJ_MAGIC);
    AZ(ctx->bo->htc);
    return guarded(ctx, "live_update", -1, [&] { return fetch(ctx, director); });
}

}  // namespace

const struct vdi_methods* live_update_methods() {
    static const struct vdi_methods methods = [] {
        struct vdi_methods table {};
        table.magic = VDI_METHODS_MAGIC;
        table.type = "tinykvm_live_update";
        table.gethdrs = director_gethdrs;
        table.finish = finish_text_reply;
        return table;
    }();
    return &methods;
}

VCL_BACKEND live_update_for_task(VRT_CTX, VCL_BACKEND director, const ProgramBackend& backend, VCL_STRING key,
                                 VCL_BYTES max_size) {
    struct vmod_priv* priv = VRT_priv_task(ctx, director);
    auto* task = static_cast<UpdateTask*>(WS_Alloc(ctx->ws, sizeof(UpdateTask)));
    if (priv == nullptr || task == nullptr) {
        throw NoRoom("workspace_backend is too small");
    }
    const std::size_t most = program_size_limit(backend.service->config().max_memory).bytes;
    const bool is_max_memory = max_size <= 0 || static_cast<std::size_t>(max_size) >= most;
    *task = {UpdateTask::expected_magic, backend.service, host::is_update_key(backend.service->config().key, view(key)),
             is_max_memory ? most : static_cast<std::size_t>(max_size), is_max_memory};
    priv->priv = task;
    priv->len = sizeof *task;
    priv->methods = task_methods;
    return director;
}

void live_update_from_file(VRT_CTX, const ProgramBackend& backend, VCL_STRING filename) {
    update(ctx, *backend.service,
           Program::from_file(filename != nullptr ? filename : "",
                              program_size_limit(backend.service->config().max_memory)));
}

}  // namespace tinykvm::vmod
