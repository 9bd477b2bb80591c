// What the program name "fetch" stands for: with a URL a GET to that server, with a path one that Varnish makes to
// itself. No VM is reserved while it waits.
//
// Thread safety: any thread.
#pragma once

#include <string>
#include <string_view>

#include "src/calls/request.hpp"
#include "src/config/config.hpp"
#include "src/fetch/self_requests.hpp"
#include "src/vmod/answer.hpp"
#include "src/vms/client_watch.hpp"

namespace tinykvm::vmod {

inline constexpr std::string_view fetch_name = "fetch";

inline bool is_path(std::string_view url) { return url.starts_with('/'); }
bool is_url(std::string_view url);  // of http or https

struct FetchLink {
    const std::string& url;
    std::string_view options;      // host::FetchOptions, as JSON
    const host::Request& request;  // whose headers may be forwarded, and at which depth it is
    // The configuration of the program that gets the body, for its max_request_memory, and its max_request_time unless
    // the options say.
    const host::ProgramConfig& limits;
    const host::IsClientGone& gone;
};

// Waits for the response, whatever its status is. Throws host::Failure.
Answer fetch_for_chain(host::SelfRequests& self_requests, const FetchLink& link);

}  // namespace tinykvm::vmod
