// Requests to Varnish itself, of programs and chains: one object per configuration (VCL).
//
// Two things end a loop, a page that is made of itself: each request carries how many requests it is inside of, and
// there is a maximum of requests at a time. It also carries which one it is inside of, so that a wait for a VM that
// could only end with itself is noticed (src/fetch/wait_graph.hpp).
//
// Thread safety: any thread. A request goes on with the configuration it began with: programs that boot while a VCL is
// being loaded may make some already.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/config_error.hpp"
#include "src/base/counter_sink.hpp"
#include "src/fetch/http_client.hpp"
#include "src/fetch/self_request_origin.hpp"
#include "tinykvm/os/mutex.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

struct SelfRequest {
    std::string method = "GET";
    std::string path;                  // begins with '/', may have a query
    std::vector<std::string> headers;  // "Name: value"; Host is that of the prefix unless said
    std::span<const std::byte> body;   // borrowed
    bool with_body = false;            // is there one, even if it is empty?
    unsigned max_redirects = 0;        // so many are followed, as long as they lead to Varnish

    SelfRequestOrigin origin;    // that of the request it is made for
    const void* pool = nullptr;  // the pool of the VM that waits for the response; null: no VM waits
    Deadline deadline{};
    std::function<bool()> cancelled;  // asked at least every 100 ms; null: never
    std::size_t max_body = std::size_t{64} << 20;
};

class SelfRequests {
  public:
    // Self-requests inside of each other, at most.
    static constexpr unsigned max_depth = 10;

    explicit SelfRequests(CounterSink& counters) : counters_(counters) {}

    // With a unix socket (the path of a listening socket of Varnish) requests go there, and the prefix only says what
    // the URL is. Throws ConfigError.
    void configure(const std::string& unix_socket, const std::string& http_prefix, long max_concurrent);

    // Waits for the response, whatever its status is. Throws HttpFailure; beyond those of HttpClient: ENOTCONN (not
    // configured), EAGAIN (the maximum is reached), ELOOP (the depth is).
    HttpResponse fetch(const SelfRequest& request);

    // Closes the connections that were kept for the next requests.
    void close_idle();

  private:
    struct Target {
        std::string unix_socket, prefix;
        HttpUrl origin;
        unsigned max_concurrent;
        HttpClient client;
    };
    std::shared_ptr<Target> target() const;
    HttpResponse fetch_counted(const SelfRequest& request);

    CounterSink& counters_;
    mutable Mutex mutex_;
    std::shared_ptr<Target> target_ TINYKVM_GUARDED_BY(mutex_);  // null: not configured
    std::atomic<unsigned> running_{0};
};

class Storage;

// What a program reaches beyond its VM.
struct GuestServices {
    std::shared_ptr<SelfRequests> self_requests;  // null: none can be made
    CounterSink* counters = nullptr;
    // One or more lines about a program that belong to no request, or cannot wait for its end. Any thread. Null: nobody
    // reads them.
    void (*log)(const std::string& program, std::string_view lines) = nullptr;
    std::shared_ptr<Storage> storage = nullptr;  // null: it has none
};

// Counts the time from its beginning to its end as spent on fetches. Null: nothing is counted.
class FetchTime {
  public:
    explicit FetchTime(CounterSink* counters) : counters_(counters), begin_(Clock::now()) {}
    ~FetchTime();
    FetchTime(const FetchTime&) = delete;
    FetchTime& operator=(const FetchTime&) = delete;

  private:
    CounterSink* counters_;
    const Clock::time_point begin_;
};

// What our header in a request says; nullopt when the line is another header. Only a header that this process wrote
// counts: a request with one that a client made up is inside of no self-request.
std::optional<SelfRequestOrigin> self_request_origin(std::string_view header_line);

}  // namespace tinykvm::host
