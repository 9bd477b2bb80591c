#include "src/self_fetch.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "api/field.hpp"

namespace tinykvm::vmod {

namespace {

// What describes the response rather than the connection or this Varnish.
bool is_passed_on(std::string_view line) {
    static constexpr std::array<std::string_view, 9> names = {
        "Age",  "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
        "ETag", "Expires",       "Last-Modified",       "Location"};
    const std::string_view name = line.substr(0, line.find(':'));
    return std::any_of(names.begin(), names.end(), [&](auto one) { return api::same_name(one, name); });
}

}  // namespace

Answer fetch_from_varnish(api::SelfRequests& self_requests, const std::string& path, unsigned depth,
                          const api::ProgramConfig& limits, const api::ClientGone& gone) {
    api::SelfRequest request;
    request.path = path;
    request.depth = depth;
    request.deadline = Clock::now() + limits.max_request_time;
    request.cancelled = gone;
    request.max_body = limits.max_request_memory;
    api::HttpResponse fetched = self_requests.fetch(request);

    api::Response response;
    response.status = fetched.status;
    response.content_type = std::move(fetched.content_type);
    std::copy_if(fetched.headers.begin(), fetched.headers.end(), std::back_inserter(response.headers), is_passed_on);
    return {"fetch", std::move(response), std::move(fetched.body)};
}

}  // namespace tinykvm::vmod
