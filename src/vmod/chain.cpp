#include "src/vmod/chain.hpp"

#include <iterator>
#include <utility>

#include "src/vmod/errors.hpp"
#include "src/vmod/fetch_link.hpp"
#include "src/vmod/log.hpp"
#include "src/vmod/origin_headers.hpp"
#include "src/vmod/request_body.hpp"
#include "src/vmod/varnish_request.hpp"

namespace tinykvm::vmod {

namespace {

struct TaskLinks {
    static constexpr unsigned expected_magic = 0x7B4D0003;
    unsigned magic = expected_magic;
    Links links;
};

void end_of_task(VRT_CTX, void* pointer) {
    (void)ctx;
    delete checked<TaskLinks>(pointer);
}

const struct vmod_priv_methods task_methods[1] = {[] {
    struct vmod_priv_methods methods {};
    methods.magic = VMOD_PRIV_METHODS_MAGIC;
    methods.type = "tinykvm_links";
    methods.fini = end_of_task;
    return methods;
}()};

class ChainRun {
  public:
    ChainRun(VRT_CTX, const Links& links, ChainInput input)
        : ctx_(ctx),
          links_(links),
          input_(input),
          fatal_(input == ChainInput::backend_request ? SLT_FetchError : SLT_Error),
          log_(ctx),
          gone_(client_gone(ctx)) {}

    ChainResult run();

  private:
    // Makes the link's answer the previous one, or says in failure_ how its program failed. Throws other failures.
    void run_link(const Link& link, const Link* next);
    void run_fetch(const Link& link, const Link* next);
    bool ends_chain(const Link& link, bool is_last) const;
    void add_source_headers(const Link& link);
    void tell_of_second_chance();
    VarnishRequest request_for(const Link& link) const;
    VarnishRequest plain_request_for(const Link& link) const;
    host::Lease vm_for(const Link& link, const host::Request& request);
    static void require_room(std::size_t size, const Link& link);
    void give_body(const Link& link, host::RequestVm& vm);

    const struct vrt_ctx* const ctx_;
    const Links& links_;
    const ChainInput input_;
    const enum VSL_tag_e fatal_;
    const Log log_;
    const host::IsClientGone gone_;
    std::optional<Answer> previous_;  // of the link before; its VM is held until the next one has the body
    std::vector<host::HeaderChange> request_changes_;
    std::vector<std::string> source_headers_;  // of what the chain fetched first
    std::string second_chance_;                // the program that failed and still answered, if one did
    std::optional<host::FailureKind> failure_;
};

VarnishRequest ChainRun::request_for(const Link& link) const {
    VarnishRequest request = plain_request_for(link);
    if (ctx_->bo != nullptr && ctx_->bo->is_bgfetch) {
        request.forget_who_waits();
    }
    return request;
}

VarnishRequest ChainRun::plain_request_for(const Link& link) const {
    if (previous_) {
        return VarnishRequest::follow_up(ctx_, link.url, link.argument, request_changes_, previous_->response());
    }
    if (input_ == ChainInput::get) {
        return VarnishRequest::get(ctx_, link.url, link.argument);
    }
    VarnishRequest request(ctx_->bo->bereq, link.url, link.argument);
    if (links_.size() > 1) {
        request.ask_for_body();
    }
    return request;
}

// A chain that waits in line for a VM holds none: two chains could wait for each other, and one for itself.
host::Lease ChainRun::vm_for(const Link& link, const host::Request& request) {
    host::ProgramService& service = *link.backend->service;
    const host::WaitGraph::Id inside_of = request.origin.request;
    if (!previous_) {
        return service.acquire(gone_, inside_of);
    }
    if (const std::size_t size = previous_->response().body_size; size != host::Response::unknown_size) {
        require_room(size, link);
    }
    if (previous_->holds_vm()) {
        if (host::Lease lease = service.try_acquire(); lease) {
            return lease;
        }
        previous_->detach(log_, service.config().max_request_memory);
    }
    return service.acquire(gone_, inside_of);
}

// The limit is the same for programs that take bodies in pieces, because it is a matter of chance whether their body
// has to be copied out of its VM.
void ChainRun::require_room(std::size_t size, const Link& link) {
    if (size >= link.backend->service->config().max_request_memory) {
        throw host::Failure(host::FailureKind::too_large,
                            "a body of " + std::to_string(size) + " bytes does not fit in max_request_memory");
    }
}

void ChainRun::give_body(const Link& link, host::RequestVm& vm) {
    if (previous_) {
        std::size_t given = 0;
        previous_->for_each_piece([&](std::span<const std::byte> piece) {
            require_room(given += piece.size(), link);
            vm.append_body(piece);
        });
        previous_->drop_body(log_);
        previous_.reset();
    } else if (input_ == ChainInput::backend_request) {
        read_request_body(ctx_->bo, vm);
    }
}

void ChainRun::run_fetch(const Link& link, const Link* next) {
    static const host::ProgramConfig usual;
    const VarnishRequest request = request_for(link);
    previous_.emplace(fetch_for_chain(*link.backend->self_requests,
                                      {.url = link.url,
                                       .options = link.argument,
                                       .request = request.request(),
                                       .limits = next != nullptr ? next->backend->service->config() : usual,
                                       .gone = gone_}));
    source_headers_ = headers_of_source(previous_->response().headers);
}

void ChainRun::run_link(const Link& link, const Link* next) {
    if (link.backend->service == nullptr) {
        run_fetch(link, next);
        return;
    }
    VarnishRequest request = request_for(link);
    const host::ProgramConfig& config = link.backend->service->config();
    request.set_soft_reset(link.soft_reset && config.soft_reset);
    host::Lease lease = vm_for(link, request.request());
    lease->begin(request.request());
    give_body(link, *lease);
    host::Outcome outcome = lease->run(gone_);
    log_.outcome(link.backend->name, outcome, fatal_);
    if (!outcome.answered) {
        failure_ = outcome.failures.back().kind();
        return;
    }
    if (!outcome.failures.empty() && second_chance_.empty()) second_chance_ = link.backend->name;
    previous_.emplace(link.backend->name, std::move(lease), std::move(outcome.response));
    if (input_ == ChainInput::get && previous_->response().stream) {
        previous_->detach(log_, config.max_request_memory);  // VCL wants it as a whole
    }
}

// A redirect, or that nothing has changed, is no document to process.
bool ChainRun::ends_chain(const Link& link, bool is_last) const {
    const int status = previous_->response().status;
    const bool has_no_document = link.backend->service == nullptr && status / 100 == 3 && !is_last;
    return has_no_document || status >= link.error_threshold;
}

// The server's headers, as far as they are true of the last answer, which is this link's.
void ChainRun::add_source_headers(const Link& link) {
    host::Response& response = previous_->response();
    if (link.backend->service != nullptr) {
        if (response.status < 300) {
            inherit(response, source_headers_);
        }
    } else if (response.status == 304 && links_.size() > 1) {
        // It is about what programs once made of the document, in Varnish's cache or the client's.
        response.content_type.clear();
        response.headers = source_headers_;
    }
}

// What an error handler or `on_error` says is often a document as it came: VCL may want to keep it for less time.
void ChainRun::tell_of_second_chance() {
    if (!second_chance_.empty()) previous_->response().headers.push_back("X-Tinykvm-Failed: " + second_chance_);
}

ChainResult ChainRun::run() {
    ChainResult result;
    for (const Link& link : links_) {
        const bool is_last = &link == &links_.back();
        result.program = &link.backend->name;
        try {
            run_link(link, is_last ? nullptr : &link + 1);
        } catch (const host::Failure& failure) {
            log_.failure(*result.program, failure, fatal_);
            failure_ = link.backend->service != nullptr ? failure.kind() : host::FailureKind::host_error;
        }
        if (failure_) {
            // What is too large after the first link is not what the client sent.
            const bool is_clients = *failure_ != host::FailureKind::too_large || &link == &links_.front();
            result.failure = is_clients ? *failure_ : host::FailureKind::host_error;
            return result;
        }
        // Changes to the request are seen by all that follow, the last ones in VCL.
        auto& changes = previous_->response().request_changes;
        std::move(changes.begin(), changes.end(), std::back_inserter(request_changes_));
        result.over_threshold = ends_chain(link, is_last);
        if (result.over_threshold && !is_last) {
            log_.line(SLT_VCL_Log, "tinykvm: " + *result.program + ": its response with status " +
                                       std::to_string(previous_->response().status) + " ends the chain");
        }
        if (result.over_threshold || is_last) {
            add_source_headers(link);
            tell_of_second_chance();
            break;
        }
    }
    previous_->response().request_changes = std::move(request_changes_);
    result.answer = std::move(previous_);
    return result;
}

}  // namespace

Links& links_of_task(VRT_CTX, const void* id) {
    struct vmod_priv* priv = VRT_priv_task(ctx, id);
    if (priv == nullptr) {
        throw NoRoom("the workspace is too small");
    }
    if (priv->priv == nullptr) {
        priv->priv = new TaskLinks();
        priv->methods = task_methods;
    }
    return checked<TaskLinks>(priv->priv)->links;
}

Links* find_links_of_task(VRT_CTX, const void* id) {
    const struct vmod_priv* priv = VRT_priv_task_get(ctx, id);
    return priv != nullptr && priv->priv != nullptr ? &checked<TaskLinks>(priv->priv)->links : nullptr;
}

ChainResult run_chain(VRT_CTX, const Links& links, ChainInput input) { return ChainRun(ctx, links, input).run(); }

}  // namespace tinykvm::vmod
