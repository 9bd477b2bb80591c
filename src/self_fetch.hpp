// What the program name "fetch" stands for when it is given a path: a GET that Varnish makes to itself. No VM is
// reserved while it waits.
//
// Thread safety: any thread.
#pragma once

#include <string>
#include <string_view>

#include "api/client_watch.hpp"
#include "api/config.hpp"
#include "api/self_requests.hpp"
#include "src/answer.hpp"

namespace tinykvm::vmod {

inline constexpr std::string_view fetch_name = "fetch";

inline bool is_self_fetch(std::string_view program, std::string_view url) {
    return program == fetch_name && url.starts_with('/');
}

// Waits for the response; any status is one. Time and size of its body are limited to max_request_time and
// max_request_memory of the configuration, that of the program which gets the body. `depth` is api::Request::depth of
// the request it is made for. Throws api::Failure.
Answer fetch_from_varnish(api::SelfRequests& self_requests, const std::string& path, unsigned depth,
                          const api::ProgramConfig& limits, const api::ClientGone& gone);

}  // namespace tinykvm::vmod
