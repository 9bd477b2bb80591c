#include "src/vmod/fetch_link.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>
#include <vector>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/config/fetch_options.hpp"
#include "src/fetch/host_rules.hpp"
#include "src/vmod/counters.hpp"
#include "src/vmod/origin_headers.hpp"

namespace tinykvm::vmod {

namespace {

constexpr unsigned max_redirects = 10;
constexpr std::size_t max_shown_url = 300;

bool has_header(const std::vector<std::string>& lines, std::string_view name) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) { return host::is_field(line, name); });
}

std::vector<std::string> headers_to_send(const host::FetchOptions& options, const host::Request& request) {
    std::vector<std::string> lines = options.headers;
    for (const std::string& name : options.forward_headers) {
        if (has_header(lines, name)) {
            continue;  // VCL has said what it is
        }
        for (const std::string_view line : request.headers) {
            if (host::is_field(line, name)) {
                lines.emplace_back(line);
            }
        }
    }
    return lines;
}

// A server at a public address must not decide, by redirects, what is asked of servers at private ones.
class PublicRedirects {
  public:
    explicit PublicRedirects(std::string first_host) : first_host_(std::move(first_host)) {}

    void check(const host::HttpUrl& url, const sockaddr& address) {
        const bool is_public = host::is_public_address(address);
        if (url.host == first_host_) {
            began_in_public_ |= is_public;
        } else if (began_in_public_ && !is_public) {
            throw host::HttpFailure(
                host::FailureKind::host_error, EACCES,
                "a redirect of " + first_host_ + " leads to " + url.host + ", which is not a public address");
        }
    }

  private:
    const std::string first_host_;
    bool began_in_public_ = false;
};

host::HttpResponse fetch_from_server(const FetchLink& link, std::vector<std::string> headers, Deadline deadline) {
    const host::HttpUrl url = host::parse_http_url(link.url);
    PublicRedirects redirects(url.host);
    host::HttpRequest request;
    request.url = link.url;
    request.headers = std::move(headers);
    if (!has_header(request.headers, "User-Agent")) {
        request.headers.emplace_back("User-Agent: tinykvm");
    }
    request.deadline = deadline;
    request.cancelled = link.gone;
    request.max_body = link.limits.max_request_memory;
    request.max_redirects = max_redirects;
    request.keep_https = true;
    // A URL with a user is mostly one in which a client has put an '@' after the host that VCL meant.
    request.check_url = [&link](const host::HttpUrl& one) {
        if (one.has_credentials) {
            throw host::HttpFailure(
                host::FailureKind::host_error, EINVAL,
                "the URL \"" + host::printable(link.url, max_shown_url) + "\" names a user, which is not supported");
        }
    };
    request.check_address = [&redirects](const host::HttpUrl& one, const sockaddr& address) {
        redirects.check(one, address);
    };
    const host::FetchTime time(&Counters::get());
    return host::HttpClient().fetch(request);
}

host::HttpResponse fetch_from_varnish(host::SelfRequests& self_requests, const FetchLink& link,
                                      std::vector<std::string> headers, Deadline deadline) {
    host::SelfRequest request;
    request.path = link.url;
    request.headers = std::move(headers);
    request.origin = link.request.origin;
    request.deadline = deadline;
    request.cancelled = link.gone;
    request.max_body = link.limits.max_request_memory;
    return self_requests.fetch(request);
}

}  // namespace

bool is_url(std::string_view url) {
    const std::string_view scheme = url.substr(0, url.find("://"));
    return scheme.size() < url.size() && (host::same_name(scheme, "http") || host::same_name(scheme, "https"));
}

Answer fetch_for_chain(host::SelfRequests& self_requests, const FetchLink& link) {
    host::FetchOptions options;
    try {
        options = host::parse_fetch_options(link.options);
    } catch (const host::ConfigError& error) {
        throw host::Failure(host::FailureKind::host_error, error.what());
    }
    const Deadline deadline = Clock::now() + options.timeout.value_or(link.limits.max_request_time);
    std::vector<std::string> headers = headers_to_send(options, link.request);
    host::HttpResponse fetched = is_path(link.url)
                                     ? fetch_from_varnish(self_requests, link, std::move(headers), deadline)
                                     : fetch_from_server(link, std::move(headers), deadline);
    host::Response response;
    response.status = fetched.status;
    response.content_type = std::move(fetched.content_type);
    std::copy_if(fetched.headers.begin(), fetched.headers.end(), std::back_inserter(response.headers), is_passed_on);
    if (is_for_one_client(fetched.headers)) {
        make_private(response.headers);
    }
    return {std::string(fetch_name), std::move(response), std::move(fetched.body)};
}

}  // namespace tinykvm::vmod
