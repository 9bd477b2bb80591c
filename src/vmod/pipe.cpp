#include "src/vmod/pipe.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "src/vmod/answer.hpp"
#include "src/vmod/client_socket.hpp"
#include "src/vmod/failure_status.hpp"
#include "src/vmod/log.hpp"
#include "src/vmod/tunnel.hpp"
#include "src/vmod/varnish_request.hpp"

namespace tinykvm::vmod {

namespace {

// Bytes of the header that Varnish has made for the program.
std::uint64_t size_of(const struct http* message) {
    std::uint64_t size = 2;
    for (unsigned i = 0; i < message->nhd; i++) {
        const txt& text = message->hd[i];
        const bool is_line = i >= HTTP_HDR_FIRST || i == HTTP_HDR_PROTO;
        size += text.b != nullptr ? static_cast<std::uint64_t>(text.e - text.b) + (is_line ? 2 : 1) : 0;
    }
    return size;
}

// Empty without the field, which is the same to VCL.
std::string_view value_of(const struct http* message, hdr_t name) {
    const char* value = nullptr;
    return http_GetHdr(message, name, &value) != 0 ? view(value) : std::string_view();
}

std::string status_line(int status) {
    return "HTTP/1.1 " + std::to_string(status) + " " + http_Status2Reason(static_cast<unsigned>(status), nullptr) +
           "\r\n";
}

class Piped {
  public:
    Piped(VRT_CTX, const Links& links)
        : ctx_(ctx),
          links_(links),
          link_(links.back()),
          name_(link_.backend->name),
          log_(ctx),
          client_(ctx->req->sp->fd, early_bytes(ctx)) {}

    stream_close_t serve();

  private:
    static std::span<const std::byte> early_bytes(VRT_CTX);
    std::string why_not() const;
    void ask();
    void go_on_with(host::Lease& lease, const host::Response& response);
    void pass_on(Answer answer);
    bool tell(const std::string& text);
    void refuse(int status);
    void account() const;

    const struct vrt_ctx* const ctx_;
    const Links& links_;
    const Link& link_;
    const std::string& name_;
    const Log log_;
    ClientSocket client_;
};

std::span<const std::byte> Piped::early_bytes(VRT_CTX) {
    const char* begin = nullptr;
    const size_t size = tinykvm_take_pipelined(ctx->req, &begin);
    return std::as_bytes(std::span(begin, size));
}

stream_close_t Piped::serve() {
    tinykvm_mark_as_pipe(ctx_->req);
    VSLb_ts_req(ctx_->req, "Pipe", VTIM_real());
    if (const std::string why = why_not(); !why.empty()) {
        log_.error("tinykvm: " + name_ + ": no connection: " + why);
        refuse(501);
    } else {
        ask();
    }
    client_.linger();
    VSLb_ts_req(ctx_->req, "PipeSess", VTIM_real());
    account();
    return SC_TX_PIPE;
}

// What is wrong with giving the connection to the program; empty: nothing. Other requests than those for another
// protocol have no business here: behind them a client could send what Varnish has never looked at.
std::string Piped::why_not() const {
    if (link_.backend->service == nullptr || links_.size() > 1) {
        return "only a program can have it, no chain and no fetch";
    }
    const host::ProgramConfig& config = link_.backend->service->config();
    if (config.protocol != host::ProgramConfig::Protocol::http || !config.websocket_server) {
        return "the program is not one with \"protocol\": \"http\" and \"websocket_server\": true";
    }
    const struct http* message = ctx_->bo->bereq;
    if (value_of(message, H_Upgrade).empty()) {
        return "the request asks for no other protocol; vcl_pipe has to set bereq.http.upgrade to req.http.upgrade";
    }
    const std::string_view length = value_of(message, H_Content_Length);
    if ((!length.empty() && length != "0") || !value_of(message, H_Transfer_Encoding).empty()) {
        return "the request has a body";
    }
    return "";
}

void Piped::ask() {
    try {
        VarnishRequest request(ctx_->bo->bereq, link_.url, link_.argument);
        request.set_may_upgrade();
        const host::IsClientGone gone = client_gone(ctx_);
        host::Lease lease = link_.backend->service->acquire(gone, request.request().origin.request);
        lease->begin(request.request());
        host::Outcome outcome = lease->run(gone);
        log_.outcome(name_, outcome, SLT_Error);
        if (!outcome.answered) {
            refuse(status_of(outcome.failures.back().kind()));
        } else if (outcome.response.status == 101) {
            go_on_with(lease, outcome.response);
        } else {
            pass_on(Answer(name_, std::move(lease), std::move(outcome.response)));
        }
    } catch (const host::Failure& failure) {
        log_.failure(name_, failure, SLT_Error);
        refuse(status_of(failure.kind()));
    } catch (const std::exception& error) {
        log_.error("tinykvm: " + name_ + ": " + error.what());
        refuse(503);
    }
}

void Piped::go_on_with(host::Lease& lease, const host::Response& response) {
    std::string head = status_line(101);
    for (const std::string& line : response.headers) {
        head += line + "\r\n";
    }
    if (!tell(head + "Connection: Upgrade\r\n\r\n")) {
        return;
    }
    const host::ProgramConfig& limits = link_.backend->service->config();
    Tunnel tunnel(client_, *lease, limits, [&] { log_.lines(name_, lease->take_log()); });
    log_.line(SLT_VCL_Log, "tinykvm: " + name_ + ": the connection has ended: " + tunnel.run());
}

// An answer of HTTP, which is the last thing on the connection.
void Piped::pass_on(Answer answer) {
    const host::Response& response = answer.response();
    const bool has_no_length = response.status == 204 || response.status == 304;
    const bool is_head = view(http_GetMethod(ctx_->bo->bereq)) == "HEAD";
    std::string head = status_line(response.status);
    if (!response.content_type.empty()) {
        head += "Content-Type: " + response.content_type + "\r\n";
    }
    for (const std::string& line : response.headers) {
        head += line + "\r\n";
    }
    if (!has_no_length && response.body_size != host::Response::unknown_size) {
        head += "Content-Length: " + std::to_string(response.body_size) + "\r\n";
    }
    const auto patience = link_.backend->service->config().max_idle_time;
    bool goes_on = tell(head + "Connection: close\r\n\r\n") && !has_no_length && !is_head;
    std::size_t done = 0;
    while (goes_on) {
        const std::span<const std::byte> piece = answer.body(done);
        done += piece.size();
        goes_on = !piece.empty() && client_.write_all(piece, patience);
    }
    answer.drop_body(log_);
}

bool Piped::tell(const std::string& text) {
    return client_.write_all(std::as_bytes(std::span(text)), link_.backend->service->config().max_idle_time);
}

// Without an answer so far; after one has begun there is nothing to say but its end.
void Piped::refuse(int status) {
    if (client_.sent() == 0) {
        const std::string text = status_line(status) + "Connection: close\r\nContent-Length: 0\r\n\r\n";
        (void)client_.write_all(std::as_bytes(std::span(text)), std::chrono::seconds(1));
    }
}

// As Varnish counts its own pipes.
void Piped::account() const {
    struct req* req = ctx_->req;
    VSLb(req->vsl, SLT_PipeAcct, "%ju %ju %ju %ju", static_cast<std::uintmax_t>(req->acct.req_hdrbytes),
         static_cast<std::uintmax_t>(size_of(ctx_->bo->bereq)), static_cast<std::uintmax_t>(client_.received()),
         static_cast<std::uintmax_t>(client_.sent()));
    req->acct.req_hdrbytes = 0;
}

}  // namespace

stream_close_t pipe_to_program(VRT_CTX, const Links& links) { return Piped(ctx, links).serve(); }

}  // namespace tinykvm::vmod
