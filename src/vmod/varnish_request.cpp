#include "src/vmod/varnish_request.hpp"

#include <poll.h>

#include <algorithm>

#include "src/base/http_field.hpp"
#include "src/fetch/self_requests.hpp"

namespace tinykvm::vmod {

namespace {

std::string_view field_of(const struct http* message, unsigned index) {
    const txt& text = message->hd[index];
    return text.b != nullptr ? std::string_view(text.b, static_cast<std::size_t>(text.e - text.b)) : std::string_view();
}

bool describes_body(std::string_view line) {
    constexpr std::string_view prefix = "Content-";
    const std::string_view name = host::name_of(line);
    return host::same_name(name.substr(0, prefix.size()), prefix) || host::same_name(name, "Transfer-Encoding") ||
           host::same_name(name, "Expect");
}

// The value of a field as the message to a client would have it; empty when it would not have the field.
std::string value_in(const host::Response& response, std::string_view name, std::string value) {
    const auto look = [&](std::string_view line) {
        std::string why;
        if (const auto parts = host::parse_field(line, why); parts && host::same_name(parts->name, name)) {
            value = parts->value;
        }
    };
    for (const std::string& line : response.headers) {
        look(line);
    }
    for (const host::HeaderChange& change : response.response_changes) {
        if (change.kind != host::HeaderChange::Kind::unset) {
            look(change.line);
        } else if (host::same_name(change.line, name)) {
            value.clear();
        }
    }
    return value;
}

const struct http* current_message(VRT_CTX) { return ctx->http_bereq != nullptr ? ctx->http_bereq : ctx->http_req; }

bool is_closed(const struct sess* session) {
    struct pollfd poll_fd {};
    poll_fd.fd = session->fd;
    poll_fd.events = POLLRDHUP;
    return session->fd >= 0 && poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

void VarnishRequest::take_headers(const struct http* message) {
    headers_.reserve(message->nhd);
    for (unsigned i = HTTP_HDR_FIRST; i < message->nhd; i++) {
        const std::string_view line = field_of(message, i);
        if (line.empty()) {
            continue;
        }
        if (const auto origin = host::self_request_origin(line)) {  // the program has no use for it
            if (origin->depth > request_.origin.depth) {
                request_.origin = *origin;
            }
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
    VarnishRequest result;
    if (const struct http* message = current_message(ctx); message != nullptr) {
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

VarnishRequest VarnishRequest::follow_up(VRT_CTX, std::string_view url, std::string_view argument,
                                         std::span<const host::HeaderChange> changes, const host::Response& previous) {
    VarnishRequest result = get(ctx, url, argument);
    std::vector<std::string>& lines = result.own_lines_;
    lines.assign(result.headers_.begin(), result.headers_.end());
    for (const host::HeaderChange& change : changes) {
        host::apply_change(lines, change);
    }
    std::erase_if(lines, describes_body);
    if (previous.body_size != host::Response::unknown_size) {
        lines.push_back("Content-Length: " + std::to_string(previous.body_size));
    }
    if (const std::string encoding = value_in(previous, "Content-Encoding", ""); !encoding.empty()) {
        lines.push_back("Content-Encoding: " + encoding);
    }
    if (const std::string type = value_in(previous, "Content-Type", previous.content_type); !type.empty()) {
        constexpr std::string_view name = "Content-Type: ";
        lines.push_back(std::string(name) + type);  // the last line: it stays where it is
        result.request_.content_type = std::string_view(lines.back()).substr(name.size());
    }
    result.headers_.assign(lines.begin(), lines.end());
    result.request_.headers = result.headers_;
    result.request_.method = "POST";
    return result;
}

void VarnishRequest::ask_for_body() {
    if (request_.method == "HEAD") {
        request_.method = "GET";
    }
}

host::IsClientGone client_gone(VRT_CTX) {
    const struct sess* session = nullptr;
    if (ctx->req != nullptr) {  // in vcl_pipe there is a bo as well
        session = ctx->req->sp;
    } else if (ctx->bo != nullptr) {
        // A response that may be cached is of use to other clients, too.
        const struct objcore* object = ctx->bo->fetch_objcore;
        session = object != nullptr && (object->flags & OC_F_PRIVATE) != 0 ? ctx->bo->sp : nullptr;
    }
    return session != nullptr ? host::IsClientGone([session] { return is_closed(session); }) : host::IsClientGone();
}

}  // namespace tinykvm::vmod
