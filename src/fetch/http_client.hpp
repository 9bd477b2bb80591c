// A blocking HTTP client, on libcurl: for what programs fetch, for requests to Varnish itself, for downloads.
//
// Only http and https, HTTP/1.1. No proxy (whatever the environment says), no cookies, no .netrc, no signals. Every
// wait ends at the deadline, and soon after `cancelled` says so.
//
// Thread safety: any thread; each does one exchange at a time.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/failure.hpp"
#include "tinykvm/os/mutex.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

// Kinds: timed_out, client_gone (cancelled) or host_error. The message names method, URL and reason.
class HttpFailure : public Failure {
  public:
    HttpFailure(FailureKind kind, int error, const std::string& message) : Failure(kind, message), error_(error) {}
    // The nearest errno value: EINVAL (URL, header), EACCES (refused by a check), EHOSTUNREACH (no such host),
    // ECONNREFUSED (no connection), ETIMEDOUT, ECANCELED, EMSGSIZE (response too large), ELOOP (redirects),
    // EPROTO (TLS, not HTTP, connection lost), ENOMEM.
    int error() const { return error_; }

  private:
    int error_;
};

// The parts of a URL as the client will use them.
struct HttpUrl {
    std::string scheme;  // http or https
    std::string host;    // in lower case; an IPv6 address without its brackets
    std::uint16_t port = 0;
    bool has_credentials = false;  // http://user:password@host/

    bool same_origin(const HttpUrl& other) const {
        return scheme == other.scheme && host == other.host && port == other.port;
    }
};
// Throws HttpFailure (EINVAL).
HttpUrl parse_http_url(const std::string& url);

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::string unix_socket;           // a path: connect there, whatever host the URL names
    std::vector<std::string> headers;  // "Name: value"; framing fields are the client's
    std::span<const std::byte> body;   // borrowed
    bool with_body = false;            // is there one, even if it is empty?

    Deadline deadline{};                   // of everything together; must be set
    Deadline answer_by = Deadline::max();  // when a response must have begun
    // Asked at least every 100 ms. Null: never cancelled.
    std::function<bool()> cancelled;

    std::size_t max_body = std::size_t{64} << 20;  // bytes of the response
    std::size_t max_headers = std::size_t{64} << 10;
    // Gets the body of the response piece by piece (not that of a redirect that is followed), and may throw to end
    // the exchange. Null: it is kept in HttpResponse::body.
    std::function<void(std::string_view)> take_body;

    unsigned max_redirects = 0;  // 0: a redirect is a response like any other
    bool keep_https = false;     // a redirect from https to http is refused (EACCES)
    // How TLS is verified for the URL's own host; hosts that it redirects to are always verified.
    bool verify_peer = true;  // false: any certificate will do, for any name
    bool verify_host = true;  // false: the certificate may be for another name
    bool fast_open = false;   // TCP
    std::string interface;    // name or address to connect from

    // Called for the URL and for each redirect, before a connection is made. May throw, and nothing is sent then.
    std::function<void(const HttpUrl&)> check_url;
    // Called for each address, before it is connected to. May throw, and nothing is sent then.
    std::function<void(const HttpUrl&, const sockaddr&)> check_address;
};

struct HttpResponse {
    int status = 0;
    std::string status_line;           // "HTTP/1.1 200 OK"
    std::vector<std::string> headers;  // "Name: value", of the last response
    std::string content_type;
    std::string body;
    std::string url;  // the one that answered

    // The value of the first header of that name, without white space around it; empty when there is none.
    std::string_view header(std::string_view name) const;
};

class HttpClient {
  public:
    // At most `kept_connections` stay open for the next requests. They are shared by all requests made with this
    // client, so those must have the same checks.
    explicit HttpClient(std::size_t kept_connections = 0);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Waits for the response, whatever its status is. Throws HttpFailure, and what the functions of the request throw.
    HttpResponse fetch(const HttpRequest& request);
    void close_idle();

  private:
    struct Handle;
    class Exchange;
    std::unique_ptr<Handle> take();
    void give_back(std::unique_ptr<Handle> handle);

    const std::size_t kept_connections_;
    Mutex mutex_;
    std::vector<std::unique_ptr<Handle>> idle_ TINYKVM_GUARDED_BY(mutex_);
};

}  // namespace tinykvm::host
