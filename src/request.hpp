// Varnish's request as the api's request: the current one of a VRT context, or the one a backend was given.
//
// Borrows strings of the workspace: they live as long as the task.
#pragma once

#include <string_view>
#include <vector>

#include "api/request.hpp"
#include "api/request_vm.hpp"
#include "src/varnish.hpp"

namespace tinykvm::vmod {

class VarnishRequest {
  public:
    // Of a fetch: method, URL (unless `url` is not empty), headers, content type.
    VarnishRequest(const struct http* message, std::string_view url, std::string_view argument);
    // A GET of its own, with the headers of the current request if there is one.
    static VarnishRequest get(VRT_CTX, std::string_view url, std::string_view argument);

    VarnishRequest(VarnishRequest&&) = default;  // the request refers to the vector, which keeps its memory
    VarnishRequest(const VarnishRequest&) = delete;

    const api::Request& request() const { return request_; }

  private:
    VarnishRequest() = default;
    void take_headers(const struct http* message);

    std::vector<std::string_view> headers_;
    api::Request request_;
};

// Has the client that waits for this answer, and nobody else does, closed its connection?
api::ClientGone client_gone(VRT_CTX);

inline std::string_view view(const char* text) { return text != nullptr ? std::string_view(text) : std::string_view(); }

}  // namespace tinykvm::vmod
