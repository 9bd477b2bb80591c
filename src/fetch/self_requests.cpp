#include "src/fetch/self_requests.hpp"

#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <span>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::host {

namespace {

constexpr std::string_view origin_header = "X-Tinykvm-Depth";
constexpr std::size_t most_kept_connections = 16;
constexpr long most_concurrent = 10000;

// Tells our own header from one that a client made up. It is the same for all configurations, because a loop may go
// through several.
const std::string& secret() {
    // Never destroyed: there may still be requests while the process exits.
    static const std::string& text = *[] {
        std::uint64_t random[2] = {};
        fill_random(std::as_writable_bytes(std::span(random)));
        return new std::string(hex(random[0]) + hex(random[1]));
    }();
    return text;
}

std::string origin_line(const SelfRequestOrigin& origin) {
    return std::string(origin_header) + ": " + std::to_string(origin.depth) + " " + secret() + " " +
           std::to_string(origin.request);
}

// The number that the text begins with, and a space or the end after it, is taken off the text.
template <typename Number>
std::optional<Number> take_number(std::string_view& text) {
    Number number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || (stop != end && *stop != ' ')) {
        return std::nullopt;
    }
    text.remove_prefix(std::min<std::size_t>(static_cast<std::size_t>(stop - text.data()) + 1, text.size()));
    return number;
}

[[noreturn]] void refuse(const char* argument, const std::string& value, const char* allowed) {
    throw ConfigError(std::string(argument) + " \"" + printable(value, 200) + "\": allowed is " + allowed);
}

}  // namespace

FetchTime::~FetchTime() {
    if (counters_ != nullptr) {
        const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
        counters_->add(Counter::fetch_time, static_cast<std::uint64_t>(time.count()));
    }
}

std::optional<SelfRequestOrigin> self_request_origin(std::string_view header_line) {
    const auto field = HttpField::split(header_line);
    if (!field || !field->is(origin_header)) {
        return std::nullopt;
    }
    std::string_view rest = field->value;
    const auto depth = take_number<unsigned>(rest);
    const bool is_ours = rest.starts_with(secret() + " ");
    rest.remove_prefix(is_ours ? secret().size() + 1 : rest.size());
    const auto request = take_number<WaitGraph::Id>(rest);
    return depth && request && rest.empty() ? SelfRequestOrigin{*depth, *request} : SelfRequestOrigin();
}

void SelfRequests::configure(const std::string& unix_socket, const std::string& http_prefix, long max_concurrent) {
    if (!unix_socket.empty() && (unix_socket.front() != '/' || unix_socket.size() >= sizeof sockaddr_un{}.sun_path)) {
        refuse("unix_socket", unix_socket, "an absolute path of at most 107 bytes, or \"\" for none");
    }
    HttpUrl origin;
    try {
        origin = parse_http_url(http_prefix);
    } catch (const HttpFailure& failure) {
        throw ConfigError(std::string("http_prefix: ") + failure.what());
    }
    if (origin.has_credentials || http_prefix.find_first_of("?#") != std::string::npos) {
        refuse("http_prefix", http_prefix, "an http or https URL without user, '?' and '#'");
    }
    if (max_concurrent < 1 || max_concurrent > most_concurrent) {
        refuse("max_concurrent_requests", std::to_string(max_concurrent), "a whole number from 1 to 10000");
    }
    std::string prefix = http_prefix;
    prefix.erase(prefix.find_last_not_of('/') + 1);
    const auto maximum = static_cast<std::size_t>(max_concurrent);
    std::shared_ptr<Target> target(new Target{unix_socket, prefix, origin, static_cast<unsigned>(maximum),
                                              HttpClient(std::min(maximum, most_kept_connections))});
    const MutexLock lock(mutex_);
    target_.swap(target);
}

std::shared_ptr<SelfRequests::Target> SelfRequests::target() const {
    const MutexLock lock(mutex_);
    return target_;
}

HttpResponse SelfRequests::fetch(const SelfRequest& request) {
    counters_.add(Counter::self_requests, 1);
    const FetchTime time(&counters_);
    try {
        return fetch_counted(request);
    } catch (...) {
        counters_.add(Counter::self_requests_failed, 1);
        throw;
    }
}

HttpResponse SelfRequests::fetch_counted(const SelfRequest& request) {
    const std::string which = "self-request for " + printable(request.path, 200) + ": ";
    const std::shared_ptr<Target> target = this->target();
    if (!target) {
        throw HttpFailure(FailureKind::host_error, ENOTCONN,
                          which + "call tinykvm.init_self_requests() in vcl_init to allow them");
    }
    if (!request.path.starts_with('/')) {
        throw HttpFailure(FailureKind::host_error, EINVAL, which + "its path does not begin with '/'");
    }
    if (request.origin.depth >= max_depth) {
        throw HttpFailure(FailureKind::host_error, ELOOP,
                          which + "it would be inside of " + std::to_string(request.origin.depth) +
                              " others, which is the maximum; mostly this is a loop, a page that asks for itself");
    }
    struct Place {
        std::atomic<unsigned>& running;
        const unsigned before;
        explicit Place(std::atomic<unsigned>& counter) : running(counter), before(counter.fetch_add(1)) {}
        ~Place() { running.fetch_sub(1); }
    } place(running_);
    if (place.before >= target->max_concurrent) {
        throw HttpFailure(FailureKind::busy, EAGAIN,
                          which + std::to_string(target->max_concurrent) +
                              " run already, the maximum set with init_self_requests(); mostly this is a loop, a page "
                              "that asks for itself");
    }

    HttpRequest http;
    http.method = request.method;
    http.url = target->prefix + request.path;
    http.unix_socket = target->unix_socket;
    for (const std::string& line : request.headers) {
        if (!self_request_origin(line)) {
            http.headers.push_back(line);
        }
    }
    const auto waits = WaitGraph::of_process().begin_self_request(request.pool, request.origin.request);
    http.headers.push_back(origin_line({request.origin.depth + 1, waits.id()}));
    http.body = request.body;
    http.with_body = request.with_body;
    http.deadline = request.deadline;
    http.cancelled = request.cancelled;
    http.max_body = request.max_body;
    http.max_redirects = request.max_redirects;
    http.check_url = [&](const HttpUrl& url) {
        if (!url.same_origin(target->origin)) {
            throw HttpFailure(FailureKind::host_error, EACCES, which + "it was redirected away from Varnish");
        }
    };
    return target->client.fetch(http);
}

void SelfRequests::close_idle() {
    if (const std::shared_ptr<Target> target = this->target()) {
        target->client.close_idle();
    }
}

}  // namespace tinykvm::host
