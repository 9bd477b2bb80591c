// What the program name "fetch" stands for: with a URL a GET to that server, with a path one that Varnish makes to
// itself. No VM is reserved while it waits.
//
// Thread safety: any thread.
#pragma once

#include <string>
#include <string_view>

#include "api/client_watch.hpp"
#include "api/config.hpp"
#include "api/request.hpp"
#include "api/self_requests.hpp"
#include "src/answer.hpp"

namespace tinykvm::vmod {

inline constexpr std::string_view fetch_name = "fetch";

inline bool is_path(std::string_view url) { return url.starts_with('/'); }
bool is_url(std::string_view url);  // of http or https

struct FetchLink {
    const std::string& url;
    std::string_view options;      // api::FetchOptions, as JSON
    const api::Request& request;   // whose headers may be forwarded, and at which depth it is
    // Of the program that gets the body: its max_request_memory, and its max_request_time unless the options say.
    const api::ProgramConfig& limits;
    const api::ClientGone& gone;
};

// Waits for the response; any status is one. Throws api::Failure.
Answer fetch_for_chain(api::SelfRequests& self_requests, const FetchLink& link);

}  // namespace tinykvm::vmod
