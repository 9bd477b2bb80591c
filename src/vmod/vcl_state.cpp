#include "src/vmod/vcl_state.hpp"

#include "src/vmod/backend.hpp"
#include "src/vmod/counters.hpp"
#include "src/vmod/errors.hpp"
#include "src/vmod/fetch_link.hpp"
#include "src/vmod/guard.hpp"
#include "src/vmod/live_update.hpp"
#include "src/vmod/log.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::vmod {

namespace {

void add_director(VRT_CTX, ProgramBackend& backend) {
    backend.director = VRT_AddDirector(ctx, director_methods(), &backend, "%s", backend.name.c_str());
    if (backend.director == nullptr) {
        throw VclError("no director for program \"" + backend.name + "\"");
    }
}

}  // namespace

VclState::VclState(VRT_CTX) : catalogue_({Counters::get(), log_without_transaction}) {
    fetcher_.name = fetch_name;
    fetcher_.self_requests = &catalogue_.self_requests();
    add_director(ctx, fetcher_);
    Counters::get().acquire();
}

VclState::~VclState() {
    assert(backends_.empty());
    catalogue_.end();
    Counters::get().release();
}

void VclState::configure(VRT_CTX, std::string_view name, std::string_view json) {
    if (host::ProgramService* service = catalogue_.configure(name, json); service != nullptr) {
        add_backend(ctx, *service);
    }
}

void VclState::library(VRT_CTX, const std::string& uri, bool strict) {
    using Mistakes = host::Catalogue::Mistakes;
    for (host::ProgramService* service : catalogue_.library(uri, strict ? Mistakes::fail : Mistakes::refuse)) {
        add_backend(ctx, *service);
    }
}

void VclState::add_backend(VRT_CTX, host::ProgramService& service) {
    if (backends_.contains(service.name())) {
        return;
    }
    if (updater_ == nullptr) {
        updater_ = VRT_AddDirector(ctx, live_update_methods(), this, "live_update");
    }
    if (updater_ == nullptr) {
        throw VclError("no director for live updates");
    }
    auto backend = std::make_unique<ProgramBackend>();
    backend->name = service.name();
    backend->service = &service;
    add_director(ctx, *backend);
    backends_.emplace(service.name(), std::move(backend));
}

void VclState::allow_self_requests(const std::string& unix_socket, const std::string& http_prefix, long maximum) {
    catalogue_.self_requests().configure(unix_socket, http_prefix, maximum);
    allows_self_requests_ = true;
}

const ProgramBackend* VclState::fetcher(std::string_view program, std::string_view url, bool in_chain) const {
    if (program != fetch_name) {
        return nullptr;
    }
    // A program of that name is not hidden, but for paths in a chain.
    const bool is_free = !backends_.contains(fetch_name);
    const bool fetches = is_url(url) ? is_free : is_path(url) && allows_self_requests_ && (is_free || in_chain);
    return fetches ? &fetcher_ : nullptr;
}

ProgramBackend* VclState::find(VRT_CTX, const char* name) {
    const std::string_view wanted = name != nullptr ? name : "";
    const auto found = backends_.find(wanted);
    if (found != backends_.end()) {
        return found->second.get();
    }
    Counters::get().add(host::Counter::program_notfound, 1);
    std::string why = "tinykvm: " + catalogue_.why_missing(wanted);
    if (wanted == fetch_name) {
        why +=
            "; with an http or https URL it is a fetch, and with a path, which begins with '/', a self-request, which "
            "tinykvm.init_self_requests() allows";
    }
    if (in_vcl_init(ctx)) {
        VRT_fail(ctx, "%s", printable(why).c_str());
    } else {
        Log(ctx).error(why);
    }
    return nullptr;
}

void VclState::discard() {
    for (const auto& [name, backend] : backends_) {
        VRT_DelDirector(&backend->director);
    }
    backends_.clear();
    VRT_DelDirector(&fetcher_.director);
    if (updater_ != nullptr) {
        VRT_DelDirector(&updater_);
    }
}

VclState& state_of(struct vmod_priv* priv) { return *checked<VclState>(priv->priv); }

namespace {

void end_of_vcl(VRT_CTX, void* pointer) {
    guarded(ctx, "discard", 0, [&] {
        auto* state = checked<VclState>(pointer);
        state->discard();
        delete state;
        return 0;
    });
}

const struct vmod_priv_methods state_methods[1] = {[] {
    struct vmod_priv_methods methods {};
    methods.magic = VMOD_PRIV_METHODS_MAGIC;
    methods.type = "tinykvm";
    methods.fini = end_of_vcl;
    return methods;
}()};

}  // namespace

}  // namespace tinykvm::vmod

extern "C" int vmod_event(VRT_CTX, struct vmod_priv* priv, enum vcl_event_e event) {
    using namespace tinykvm::vmod;
    return guarded(ctx, "event", 1, [&] {
        switch (event) {
            case VCL_EVENT_LOAD:
                priv->priv = new VclState(ctx);
                priv->methods = state_methods;
                break;
            case VCL_EVENT_WARM: state_of(priv).catalogue().warm(); break;
            case VCL_EVENT_COLD: state_of(priv).catalogue().cold(); break;
            case VCL_EVENT_DISCARD:
                end_of_vcl(ctx, priv->priv);
                priv->priv = nullptr;
                break;
            default: break;  // events of later versions
        }
        return 0;
    });
}
