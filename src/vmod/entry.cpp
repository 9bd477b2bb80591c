// The functions VCL calls. Each only checks, converts and hands on.
#include <optional>
#include <utility>

#include "src/vmod/backend.hpp"
#include "src/vmod/chain.hpp"
#include "src/vmod/control.hpp"
#include "src/vmod/errors.hpp"
#include "src/vmod/guard.hpp"
#include "src/vmod/immediate.hpp"
#include "src/vmod/live_update.hpp"
#include "src/vmod/log.hpp"
#include "src/vmod/varnish_request.hpp"
#include "src/vmod/vcl_state.hpp"

using namespace tinykvm;
using namespace tinykvm::vmod;

namespace {

constexpr char fetch_is_not_first[] = "tinykvm: \"fetch\" with a path or URL is only possible as the first of a chain";

// Takes the links that were queued in this task, and adds the program that is called. Nullopt when there is no such
// program, which is logged and counted.
std::optional<Links> chain_to(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING url, VCL_STRING argument,
                              VCL_INT error_threshold = Link::no_threshold) {
    VclState& state = state_of(priv);
    Links links;
    if (Links* queued = find_links_of_task(ctx, &state); queued != nullptr) {
        links = std::exchange(*queued, {});
    }
    const ProgramBackend* backend = state.fetcher(view(program), view(url), false);
    if (backend != nullptr && !links.empty()) {
        VRT_fail(ctx, "%s", fetch_is_not_first);
        return std::nullopt;
    }
    if (backend == nullptr && (backend = state.find(ctx, program)) == nullptr) {
        return std::nullopt;
    }
    links.push_back({backend, std::string(view(url)), std::string(view(argument)), error_threshold});
    return links;
}

}  // namespace

extern "C" {

VCL_BOOL vmod_library(VRT_CTX, struct vmod_priv* priv, VCL_STRING uri, VCL_BOOL strict) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "library", 0U, [&] {
        if (!in_vcl_init(ctx)) {
            VRT_fail(ctx, "tinykvm.library() is for vcl_init");
            return 0U;
        }
        state_of(priv).library(ctx, std::string(view(uri)), strict != 0);
        return 1U;
    });
}

VCL_BOOL vmod_configure(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING json) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "configure", 0U, [&] {
        if (!in_vcl_init(ctx)) {
            VRT_fail(ctx, "tinykvm.configure() is for vcl_init");
            return 0U;
        }
        state_of(priv).configure(ctx, view(program), view(json));
        return 1U;
    });
}

VCL_BOOL vmod_init_self_requests(VRT_CTX, struct vmod_priv* priv, VCL_STRING unix_socket, VCL_STRING http_prefix,
                                 VCL_INT max_concurrent_requests) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "init_self_requests", 0U, [&] {
        if (!in_vcl_init(ctx)) {
            VRT_fail(ctx, "tinykvm.init_self_requests() is for vcl_init");
            return 0U;
        }
        state_of(priv).allow_self_requests(std::string(view(unix_socket)), std::string(view(http_prefix)),
                                           max_concurrent_requests);
        return 1U;
    });
}

VCL_BOOL vmod_start(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_BOOL async, VCL_BOOL debug) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "start", 0U, [&] {
        if (!in_vcl_init(ctx)) {
            VRT_fail(ctx, "tinykvm.start() is for vcl_init");
            return 0U;
        }
        const ProgramBackend* backend = state_of(priv).find(ctx, program);
        if (backend == nullptr) {
            return 0U;
        }
        if ((async || debug) && !backend->service->refusal().empty()) {
            return 0U;  // the log has said why
        }
        if (debug && !backend->service->config().allow_debug) {
            throw VclError("\"" + backend->service->name() + "\": debug is for programs with \"allow_debug\": true");
        }
        if (async || debug) {  // nobody knows how long a person takes
            backend->service->start(debug);
        } else {
            try {
                backend->service->wait_until_booted();
            } catch (const host::Failure& failure) {
                throw VclError("\"" + backend->service->name() + "\": " + failure.what());
            }
        }
        return 1U;
    });
}

VCL_BACKEND vmod_to_backend(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING arg, VCL_STRING config) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "to_backend", VCL_BACKEND{nullptr}, [&]() -> VCL_BACKEND {
        auto links = chain_to(ctx, priv, program, arg, config);
        return links ? backend_for_task(ctx, *std::move(links)) : nullptr;
    });
}

VCL_BACKEND vmod_program(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING arg, VCL_STRING config) {
    return vmod_to_backend(ctx, priv, program, arg, config);
}

VCL_BOOL vmod_chain(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING arg, VCL_STRING config,
                    VCL_INT error_threshold) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "chain", 0U, [&] {
        VclState& state = state_of(priv);
        const ProgramBackend* fetcher = state.fetcher(view(program), view(arg), true);
        const ProgramBackend* backend = fetcher != nullptr ? fetcher : state.find(ctx, program);
        if (backend == nullptr) {
            return 0U;
        }
        Links& queue = links_of_task(ctx, &state);
        if (fetcher != nullptr && !queue.empty()) {
            VRT_fail(ctx, "%s", fetch_is_not_first);
            return 0U;
        }
        if (queue.size() >= max_queued_links) {
            VRT_fail(ctx, "tinykvm.chain(): %zu programs are queued already, more are not possible", queue.size());
            return 0U;
        }
        queue.push_back({backend, std::string(view(arg)), std::string(view(config)), error_threshold});
        return 1U;
    });
}

VCL_STRING vmod_to_string(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING url, VCL_STRING arg,
                          VCL_STRING on_error, VCL_INT error_threshold, VCL_INT soft_reset) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "to_string", on_error, [&]() -> VCL_STRING {
        auto links = chain_to(ctx, priv, program, url, arg, error_threshold);
        if (links) {
            links->back().soft_reset = soft_reset != 0;
        }
        return links ? run_to_string(ctx, *links, on_error) : on_error;
    });
}

VCL_BLOB vmod_to_blob(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING url, VCL_STRING arg,
                      VCL_INT error_threshold) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "to_blob", VCL_BLOB{vrt_null_blob}, [&]() -> VCL_BLOB {
        const auto links = chain_to(ctx, priv, program, url, arg, error_threshold);
        return links ? run_to_blob(ctx, *links) : vrt_null_blob;
    });
}

VCL_INT vmod_synth(VRT_CTX, struct vmod_priv* priv, VCL_INT status, VCL_STRING program, VCL_STRING url, VCL_STRING arg,
                   VCL_INT soft_reset) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "synth", VCL_INT{0}, [&]() -> VCL_INT {
        auto links = chain_to(ctx, priv, program, url, arg);
        if (links) {
            links->back().soft_reset = soft_reset != 0;
        }
        return links ? run_synth(ctx, *links, status) : 0;
    });
}

VCL_INT vmod_invalidate_programs(VRT_CTX, struct vmod_priv* priv, VCL_STRING regex) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "invalidate_programs", VCL_INT{0},
                   [&] { return invalidate_programs(ctx, state_of(priv), regex); });
}

VCL_BOOL vmod_main_arguments(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRANDS arguments) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "main_arguments", 0U, [&] {
        const ProgramBackend* backend = state_of(priv).find(ctx, program);
        if (backend == nullptr) {
            return 0U;
        }
        set_main_arguments(*backend, arguments);
        return 1U;
    });
}

VCL_BACKEND vmod_live_update(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING key, VCL_BYTES max_size) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "live_update", VCL_BACKEND{nullptr}, [&]() -> VCL_BACKEND {
        if (ctx->method != VCL_MET_BACKEND_FETCH) {
            VRT_fail(ctx, "tinykvm.live_update() is for vcl_backend_fetch");
            return nullptr;
        }
        const ProgramBackend* backend = state_of(priv).find(ctx, program);
        return backend != nullptr ? live_update_for_task(ctx, state_of(priv).updater(), *backend, key, max_size)
                                  : nullptr;
    });
}

VCL_BOOL vmod_live_update_file(VRT_CTX, struct vmod_priv* priv, VCL_STRING program, VCL_STRING filename) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "live_update_file", 0U, [&] {
        const ProgramBackend* backend = state_of(priv).find(ctx, program);
        if (backend == nullptr) {
            return 0U;
        }
        try {
            live_update_from_file(ctx, *backend, filename);
        } catch (const Error& error) {
            throw VclError("\"" + backend->service->name() + "\": " + error.what());
        }
        return 1U;
    });
}

VCL_STRING vmod_stats(VRT_CTX, struct vmod_priv* priv, VCL_STRING pattern, VCL_INT indentation) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "stats", VCL_STRING{""}, [&]() -> VCL_STRING {
        if (in_vcl_init(ctx)) {
            VRT_fail(ctx, "tinykvm.stats() is not for vcl_init");
            return "";
        }
        return program_statistics(ctx, state_of(priv), pattern, indentation);
    });
}

VCL_BOOL vmod_ready(VRT_CTX, struct vmod_priv* priv, VCL_STRING program) {
    CHECK_OBJ_NOTNULL(ctx, VRT_CTX_MAGIC);
    return guarded(ctx, "ready", 0U, [&] {
        const host::ProgramService* service = state_of(priv).catalogue().find(view(program));
        return service != nullptr && service->ready() ? 1U : 0U;
    });
}

}  // extern "C"
