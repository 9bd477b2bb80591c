// Varnish's request as a host::Request: the current one of a VRT context, or the one a backend was given.
//
// Borrows strings of the workspace: they live as long as the task.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/calls/header_edit.hpp"
#include "src/calls/request.hpp"
#include "src/calls/response.hpp"
#include "src/vmod/varnish.hpp"
#include "src/vms/request_vm.hpp"

namespace tinykvm::vmod {

class VarnishRequest {
  public:
    // The request of a fetch: method, URL (unless `url` is not empty), headers, content type.
    VarnishRequest(const struct http* message, std::string_view url, std::string_view argument);
    // A GET of its own, with the headers of the current request if there is one.
    static VarnishRequest get(VRT_CTX, std::string_view url, std::string_view argument);
    // A POST of what another program answered, with its content type and content encoding. The other headers are
    // those of the current request, with the changes programs have made to it.
    static VarnishRequest follow_up(VRT_CTX, std::string_view url, std::string_view argument,
                                    std::span<const host::HeaderChange> changes, const host::Response& previous);

    // The answer to a HEAD is the header of that to a GET.
    void ask_for_body();
    // No request waits for a fetch in the background, not even the self-request that was the reason for it.
    void forget_who_waits() { request_.origin.request = 0; }

    VarnishRequest(VarnishRequest&&) = default;  // the request refers to the vectors, which keep their memory
    VarnishRequest(const VarnishRequest&) = delete;

    const host::Request& request() const { return request_; }
    void set_soft_reset(bool soft) { request_.soft_reset = soft; }
    void set_may_upgrade() { request_.may_upgrade = true; }

  private:
    VarnishRequest() = default;
    void take_headers(const struct http* message);

    std::vector<std::string> own_lines_;  // the lines of headers_ that are not in the workspace
    std::vector<std::string_view> headers_;
    host::Request request_;
};

// Has the client that waits for this answer, and nobody else does, closed its connection?
host::IsClientGone client_gone(VRT_CTX);

inline std::string_view view(const char* text) { return text != nullptr ? std::string_view(text) : std::string_view(); }

}  // namespace tinykvm::vmod
