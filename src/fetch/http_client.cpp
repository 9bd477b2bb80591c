#include "src/fetch/http_client.hpp"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "src/base/ascii.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"

namespace tinykvm::host {

namespace {

constexpr auto look_for_cancellation = std::chrono::milliseconds(100);
constexpr std::size_t most_shown_of_url = 300;

struct UrlDeleter {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlDeleter>;

struct ListDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListDeleter>;

// libcurl is never cleaned up: other code in this process may still use it.
void require_library() {
    static const CURLcode result = [] {
        // OpenSSL would clean up when the process exits, while other threads still use it.
        (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
        return curl_global_init(CURL_GLOBAL_DEFAULT);
    }();
    if (result != CURLE_OK) {
        throw HttpFailure(FailureKind::host_error, ENOMEM, std::string("libcurl: ") + curl_easy_strerror(result));
    }
}

[[noreturn]] void refuse_url(const std::string& url, const std::string& why) {
    throw HttpFailure(FailureKind::host_error, EINVAL, "the URL \"" + printable(url, most_shown_of_url) + "\" " + why);
}

// Empty when the URL does not have that part.
std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
    char* text = nullptr;
    if (curl_url_get(url, which, &text, flags) != CURLUE_OK) {
        return {};
    }
    std::string result(text);
    curl_free(text);
    return result;
}

// Other bytes do not belong into a host name, and it is not certain enough for our checks what libcurl would make of
// them.
bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == ':';
}

struct ParsedUrl {
    Url handle;  // the transfer uses the very URL that was checked
    HttpUrl parts;
};

ParsedUrl parse(const std::string& text) {
    require_library();
    ParsedUrl parsed{Url(curl_url()), {}};
    CURLU* url = parsed.handle.get();
    if (url == nullptr) {
        throw HttpFailure(FailureKind::host_error, ENOMEM, "no memory for a URL");
    }
    if (text.find('\0') != std::string::npos) {
        refuse_url(text, "has a zero byte");
    }
    if (const CURLUcode error = curl_url_set(url, CURLUPART_URL, text.c_str(), 0); error != CURLUE_OK) {
        refuse_url(text, std::string("is not valid: ") + curl_url_strerror(error));
    }
    HttpUrl& parts = parsed.parts;
    parts.scheme = part(url, CURLUPART_SCHEME);
    if (parts.scheme != "http" && parts.scheme != "https") {
        refuse_url(text, "is not an http or https URL");
    }
    parts.host = to_lower(part(url, CURLUPART_HOST));
    if (parts.host.starts_with('[') && parts.host.ends_with(']')) {
        parts.host = parts.host.substr(1, parts.host.size() - 2);
    }
    if (parts.host.empty() || !std::all_of(parts.host.begin(), parts.host.end(), is_host_char)) {
        refuse_url(text, "has a host that is neither an address nor a name of ASCII letters");
    }
    const std::string port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    std::from_chars(port.data(), port.data() + port.size(), parts.port);
    parts.has_credentials = !part(url, CURLUPART_USER).empty() || !part(url, CURLUPART_PASSWORD).empty();
    return parsed;
}

std::string whole(CURLU* url) { return part(url, CURLUPART_URL); }

int nearest_errno(CURLcode code) {
    switch (code) {
        case CURLE_URL_MALFORMAT: return EINVAL;
        case CURLE_COULDNT_RESOLVE_HOST: return EHOSTUNREACH;
        case CURLE_COULDNT_CONNECT:
        case CURLE_INTERFACE_FAILED: return ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT: return ETIMEDOUT;
        case CURLE_OUT_OF_MEMORY: return ENOMEM;
        case CURLE_FILESIZE_EXCEEDED: return EMSGSIZE;
        default: return EPROTO;
    }
}

// Binding to a name would look it up, and take its time.
bool is_interface(const std::string& text) {
    return !text.empty() && text.size() <= 45 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == ':' ||
               c == '-' || c == '_';
    });
}

std::string interface_option(const std::string& text) {
    const bool address = text.find(':') != std::string::npos || std::all_of(text.begin(), text.end(), [](char c) {
                             return (c >= '0' && c <= '9') || c == '.';
                         });
    return (address ? "host!" : "if!") + text;
}

}  // namespace

HttpUrl parse_http_url(const std::string& url) { return parse(url).parts; }

std::string_view HttpResponse::header(std::string_view name) const {
    for (const std::string& line : headers) {
        std::string why;
        const auto parts = parse_field(line, why);
        if (parts && parts->is(name)) {
            return parts->value;
        }
    }
    return {};
}

// Curl's state for one exchange at a time, with the connection it may keep.
struct HttpClient::Handle {
    CURL* easy = nullptr;
    CURLM* multi = nullptr;

    Handle() {
        require_library();
        easy = curl_easy_init();
        multi = curl_multi_init();
        if (easy == nullptr || multi == nullptr) {
            release();
            throw HttpFailure(FailureKind::host_error, ENOMEM, "libcurl has no memory");
        }
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
    }
    ~Handle() { release(); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    void release() {
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
    }
};

// One request and its response, without redirects.
class HttpClient::Exchange {
  public:
    Exchange(Handle& handle, const HttpRequest& request, bool keeps_connection)
        : handle_(handle), request_(request), keeps_connection_(keeps_connection) {}

    struct Target {
        const ParsedUrl& url;
        const std::string& method;
        bool with_body;
        bool other_origin;  // a redirect has led elsewhere: what identifies the user is not sent there
    };
    // The URL to go to when the response is a redirect and `follows`; else empty, and the response is complete.
    std::string run(const Target& target, bool follows, HttpResponse& response);

  private:
    void set_up(const Target& target);
    void set_headers(const Target& target);
    void transfer();
    [[noreturn]] void fail(FailureKind kind, int error, const std::string& why) const;
    [[noreturn]] void fail(CURLcode code) const;

    // Called by curl. Exceptions wait in failure_ until curl has returned.
    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
    static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
    static curl_socket_t on_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
    template <typename Body>
    bool contained(Body body);
    void take_header(std::string_view line);
    void take_body(std::string_view piece);
    bool is_redirect() const;

    Handle& handle_;
    const HttpRequest& request_;
    const bool keeps_connection_;
    const Target* target_ = nullptr;
    std::string shown_;  // "GET http://host/", with the socket when it is not the host that is connected to
    List headers_;
    char error_text_[CURL_ERROR_SIZE] = {};
    std::exception_ptr failure_;

    HttpResponse* response_ = nullptr;
    bool follows_ = false;
    std::size_t header_bytes_ = 0, body_bytes_ = 0;
};

void HttpClient::Exchange::fail(FailureKind kind, int error, const std::string& why) const {
    throw HttpFailure(kind, error, shown_ + ": " + why);
}

void HttpClient::Exchange::fail(CURLcode code) const {
    std::string detail = error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code);
    if (code == CURLE_COULDNT_CONNECT) {
        // What curl says then names the host and port of the URL, also when it tried something else.
        if (!request_.unix_socket.empty()) {
            detail = "the socket cannot be connected to";
        }
        long os_error = 0;
        if (curl_easy_getinfo(handle_.easy, CURLINFO_OS_ERRNO, &os_error) == CURLE_OK && os_error != 0) {
            detail += std::string(" (") + std::strerror(static_cast<int>(os_error)) + ")";
        }
    }
    fail(code == CURLE_OPERATION_TIMEDOUT ? FailureKind::timed_out : FailureKind::host_error, nearest_errno(code),
         printable(detail, most_shown_of_url));
}

template <typename Body>
bool HttpClient::Exchange::contained(Body body) {
    try {
        body();
        return true;
    } catch (...) {
        failure_ = std::current_exception();
        return false;
    }
}

std::size_t HttpClient::Exchange::on_header(char* data, std::size_t size, std::size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    return exchange->contained([&] { exchange->take_header({data, size * count}); }) ? size * count : 0;
}

std::size_t HttpClient::Exchange::on_body(char* data, std::size_t size, std::size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    return exchange->contained([&] { exchange->take_body({data, size * count}); }) ? size * count : 0;
}

curl_socket_t HttpClient::Exchange::on_socket(void* self, curlsocktype, curl_sockaddr* address) {
    auto* exchange = static_cast<Exchange*>(self);
    const auto& check = exchange->request_.check_address;
    if (check && address->family != AF_UNIX &&
        !exchange->contained([&] { check(exchange->target_->url.parts, address->addr); })) {
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void HttpClient::Exchange::take_header(std::string_view line) {
    if ((header_bytes_ += line.size()) > request_.max_headers) {
        fail(FailureKind::host_error, EMSGSIZE,
             "its headers have more than " + std::to_string(request_.max_headers) + " bytes");
    }
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
        line.remove_suffix(1);
    }
    if (line.starts_with("HTTP/")) {
        response_->headers.clear();  // those were of an interim response
        response_->status_line = line;
    } else if (std::string why; parse_field(line, why)) {
        response_->headers.emplace_back(line);
    }
}

void HttpClient::Exchange::take_body(std::string_view piece) {
    if (piece.size() > request_.max_body - body_bytes_) {
        fail(FailureKind::host_error, EMSGSIZE,
             "its body has more than " + std::to_string(request_.max_body) + " bytes");
    }
    body_bytes_ += piece.size();
    if (follows_ && is_redirect()) {
        return;
    }
    if (request_.take_body) {
        request_.take_body(piece);
    } else {
        response_->body.append(piece);
    }
}

bool HttpClient::Exchange::is_redirect() const {
    long status = 0;
    curl_easy_getinfo(handle_.easy, CURLINFO_RESPONSE_CODE, &status);
    const bool leads_on = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    return leads_on && !response_->header("Location").empty();
}

void HttpClient::Exchange::set_headers(const Target& target) {
    const auto append = [this](const std::string& line) {
        curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
        if (longer == nullptr) {
            fail(FailureKind::host_error, ENOMEM, "no memory");
        }
        (void)headers_.release();
        headers_.reset(longer);
    };
    bool has_type = false;
    for (const std::string& line : request_.headers) {
        std::string why;
        const auto parts = parse_field(line, why);
        if (!parts) {
            fail(FailureKind::host_error, EINVAL, "a header " + why);
        }
        const bool of_user = parts->is("Authorization") || parts->is("Cookie") || parts->is("Host");
        if (is_framing_field(parts->name) || parts->is("Expect") || (target.other_origin && of_user)) {
            continue;
        }
        if (parts->value.empty() && parts->is("Host")) {
            continue;  // the host of the URL is sent
        }
        has_type |= parts->is("Content-Type");
        // In curl's list a name with nothing after its colon takes a header away; with a semicolon it is empty.
        append(parts->value.empty() ? std::string(parts->name) + ";" : line);
    }
    append("Expect:");  // without this curl may wait before it sends a body
    if (!has_type) {
        append("Content-Type:");
    }
    curl_easy_setopt(handle_.easy, CURLOPT_HTTPHEADER, headers_.get());
}

void HttpClient::Exchange::set_up(const Target& target) {
    CURL* easy = handle_.easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_);
    curl_easy_setopt(easy, CURLOPT_CURLU, target.url.handle.get());
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a cancelled transfer does not wait for a name server
#endif
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(24 * 3600 * 1000));  // the deadline decides
    if (!request_.unix_socket.empty()) {
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
    }
    if (!keeps_connection_) {
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    const bool verify_peer = request_.verify_peer || target.other_origin;
    const bool verify_host = verify_peer && (request_.verify_host || target.other_origin);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify_peer ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify_host ? 2L : 0L);
    if (request_.fast_open) {
        curl_easy_setopt(easy, CURLOPT_TCP_FASTOPEN, 1L);
    }
    if (!request_.interface.empty()) {
        if (!is_interface(request_.interface)) {
            fail(FailureKind::host_error, EINVAL,
                 "\"" + printable(request_.interface, 60) + "\" is neither an interface nor an address");
        }
        curl_easy_setopt(easy, CURLOPT_INTERFACE, interface_option(request_.interface).c_str());
    }
    if (target.with_body) {
        const bool none = request_.body.empty();
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, none ? "" : reinterpret_cast<const char*>(request_.body.data()));
    }
    if (target.method == "HEAD") {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, target.method.c_str());
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(request_.max_body));
    }
    set_headers(target);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &on_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
}

void HttpClient::Exchange::transfer() {
    struct Added {
        Handle& handle;
        explicit Added(Handle& h) : handle(h) { curl_multi_add_handle(handle.multi, handle.easy); }
        ~Added() { curl_multi_remove_handle(handle.multi, handle.easy); }
    } added(handle_);
    auto next_look = Clock::now() + look_for_cancellation;
    for (;;) {
        int running = 0;
        const CURLMcode result = curl_multi_perform(handle_.multi, &running);
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        if (result != CURLM_OK) {
            fail(FailureKind::host_error, EPROTO, curl_multi_strerror(result));
        }
        if (running == 0) {
            break;
        }
        const auto now = Clock::now();
        if (now >= request_.deadline) {
            fail(FailureKind::timed_out, ETIMEDOUT, "there was no complete response in time");
        }
        const bool has_begun = !response_->status_line.empty();
        if (!has_begun && now >= request_.answer_by) {
            fail(FailureKind::timed_out, ETIMEDOUT, "no response has begun in time");
        }
        if (now >= next_look) {
            if (request_.cancelled && request_.cancelled()) {
                fail(FailureKind::client_gone, ECANCELED, "cancelled");
            }
            next_look = now + look_for_cancellation;
        }
        const auto until = std::min({next_look, request_.deadline, has_begun ? Deadline::max() : request_.answer_by});
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - now);
        curl_multi_poll(handle_.multi, nullptr, 0, static_cast<int>(wait.count()), nullptr);
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(handle_.multi, &left);
    if (message == nullptr || message->msg != CURLMSG_DONE) {
        fail(FailureKind::host_error, EPROTO, "it ended without a result");
    }
    if (message->data.result != CURLE_OK) {
        fail(message->data.result);
    }
}

std::string HttpClient::Exchange::run(const Target& target, bool follows, HttpResponse& response) {
    target_ = &target;
    response_ = &response;
    follows_ = follows;
    response.url = whole(target.url.handle.get());
    shown_ = target.method + " " + printable(response.url, most_shown_of_url);
    if (!request_.unix_socket.empty()) {
        shown_ += " through the unix socket " + printable(request_.unix_socket, most_shown_of_url);
    }
    if (Clock::now() >= request_.deadline) {
        fail(FailureKind::timed_out, ETIMEDOUT, "there is no time left");
    }
    if (request_.check_url) {
        request_.check_url(target.url.parts);
    }
    set_up(target);
    transfer();
    long status = 0;
    curl_easy_getinfo(handle_.easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    char* location = nullptr;
    if (follows && is_redirect()) {
        curl_easy_getinfo(handle_.easy, CURLINFO_REDIRECT_URL, &location);
    }
    if (location != nullptr) {
        return location;
    }
    response.content_type = response.header("Content-Type");
    return {};
}

HttpClient::HttpClient(std::size_t kept_connections) : kept_connections_(kept_connections) {}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::take() {
    {
        const MutexLock lock(mutex_);
        if (!idle_.empty()) {
            auto handle = std::move(idle_.back());
            idle_.pop_back();
            return handle;
        }
    }
    return std::make_unique<Handle>();
}

void HttpClient::give_back(std::unique_ptr<Handle> handle) {
    const MutexLock lock(mutex_);
    if (idle_.size() < kept_connections_) {
        idle_.push_back(std::move(handle));
    }
}

void HttpClient::close_idle() {
    std::vector<std::unique_ptr<Handle>> closed;
    const MutexLock lock(mutex_);
    closed.swap(idle_);
}

HttpResponse HttpClient::fetch(const HttpRequest& request) {
    if (!is_field_name(request.method)) {
        throw HttpFailure(FailureKind::host_error, EINVAL,
                          "\"" + printable(request.method, 60) + "\" is not the name of an HTTP method");
    }
    ParsedUrl url = parse(request.url);
    std::string method = request.method;
    bool with_body = request.with_body || !request.body.empty();
    bool other_origin = false;
    std::unique_ptr<Handle> handle = take();
    for (unsigned redirects = 0;; ++redirects) {
        HttpResponse response;
        Exchange exchange(*handle, request, kept_connections_ != 0);
        const std::string next =
            exchange.run({url, method, with_body, other_origin}, request.max_redirects > 0, response);
        if (next.empty()) {
            give_back(std::move(handle));
            return response;
        }
        if (redirects >= request.max_redirects) {
            throw HttpFailure(FailureKind::host_error, ELOOP,
                              request.method + " " + printable(request.url, most_shown_of_url) + ": more than " +
                                  std::to_string(request.max_redirects) + " redirects");
        }
        ParsedUrl next_url = parse(next);
        if (request.keep_https && url.parts.scheme == "https" && next_url.parts.scheme != "https") {
            throw HttpFailure(FailureKind::host_error, EACCES,
                              request.method + " " + printable(request.url, most_shown_of_url) +
                                  ": a redirect leads from https to " + next_url.parts.scheme);
        }
        other_origin |= !next_url.parts.same_origin(url.parts);
        url = std::move(next_url);
        // A POST becomes a GET here, as browsers do it and RFC 9110 15.4 allows it.
        const bool was_post = method == "POST" && (response.status == 301 || response.status == 302);
        if ((response.status == 303 && method != "HEAD") || was_post) {
            method = "GET";
            with_body = false;
        }
    }
}

}  // namespace tinykvm::host
