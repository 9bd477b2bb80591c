#include "src/request.hpp"

#include <poll.h>

#include <algorithm>

#include "api/self_requests.hpp"

namespace tinykvm::vmod {

namespace {

std::string_view field_of(const struct http* message, unsigned index) {
    const txt& text = message->hd[index];
    return text.b != nullptr ? std::string_view(text.b, static_cast<std::size_t>(text.e - text.b))
                             : std::string_view();
}

bool is_closed(const struct sess* session) {
    struct pollfd poll_fd {};
    poll_fd.fd = session->fd;
    poll_fd.events = POLLRDHUP;
    return session->fd >= 0 && poll(&poll_fd, 1, 0) > 0 &&
           (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

void VarnishRequest::take_headers(const struct http* message) {
    headers_.reserve(message->nhd);
    for (unsigned i = HTTP_HDR_FIRST; i < message->nhd; i++) {
        const std::string_view line = field_of(message, i);
        if (line.empty()) {
            continue;
        }
        if (const auto depth = api::self_request_depth(line)) {
            request_.depth = std::max(request_.depth, *depth);  // the program has no use for it
            continue;
        }
        headers_.push_back(line);
    }
}

VarnishRequest::VarnishRequest(const struct http* message, std::string_view url, std::string_view argument) {
    take_headers(message);
    request_.method = field_of(message, HTTP_HDR_METHOD);
    request_.url = url.empty() ? field_of(message, HTTP_HDR_URL) : url;
    request_.argument = argument;
    const char* type = nullptr;
    if (http_GetHdr(message, H_Content_Type, &type) != 0) {
        request_.content_type = view(type);
    }
    request_.headers = headers_;
}

VarnishRequest VarnishRequest::get(VRT_CTX, std::string_view url, std::string_view argument) {
    const struct http* message = ctx->http_bereq != nullptr ? ctx->http_bereq : ctx->http_req;
    VarnishRequest result;
    if (message != nullptr) {
        result.take_headers(message);
        result.request_.url = field_of(message, HTTP_HDR_URL);
    }
    if (!url.empty()) {
        result.request_.url = url;
    }
    result.request_.argument = argument;
    result.request_.headers = result.headers_;
    return result;
}

api::ClientGone client_gone(VRT_CTX) {
    const struct sess* session = nullptr;
    if (ctx->bo != nullptr) {
        // What may be cached is of use to others, too.
        const struct objcore* object = ctx->bo->fetch_objcore;
        session = object != nullptr && (object->flags & OC_F_PRIVATE) != 0 ? ctx->bo->sp : nullptr;
    } else if (ctx->req != nullptr) {
        session = ctx->req->sp;
    }
    return session != nullptr ? api::ClientGone([session] { return is_closed(session); }) : api::ClientGone();
}

}  // namespace tinykvm::vmod
