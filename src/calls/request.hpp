// A request on its way to a program.
#pragma once

#include <span>
#include <string_view>

#include "src/fetch/self_request_origin.hpp"

namespace tinykvm::host {

// All views are borrowed: they must live until the request has been answered and released. Nothing in them may
// contain a zero byte. The body is not here: it goes straight into guest memory (append_body of the VM).
struct Request {
    std::string_view method = "GET";
    std::string_view url;
    std::string_view argument;
    std::string_view content_type;
    std::span<const std::string_view> headers;  // "Name: value"
    bool warmup = false;
    // The VM need not be made equal to its snapshot afterwards: what this request changes is there for the next one of
    // this kind, and for no other.
    bool soft_reset = false;
    // The program may answer it with a 101, and go on with another protocol (RequestVm::exchange).
    bool may_upgrade = false;
    SelfRequestOrigin origin{};  // of a request that is inside of self-requests
};

}  // namespace tinykvm::host
