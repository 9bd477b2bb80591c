// Self-requests, with a server of the test in Varnish's place.
#include "src/fetch/self_requests.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>

#include "tests/unit/eventually.hpp"
#include "tests/unit/http_server.hpp"
#include "tests/unit/vtc_guest.hpp"

namespace tinykvm::host {
namespace {

// The depth that a header line says; nullopt when it is another header.
std::optional<unsigned> self_request_depth(std::string_view line) {
    const auto origin = self_request_origin(line);
    return origin ? std::optional(origin->depth) : std::nullopt;
}

class SelfRequestsTest : public testing::Test {
  protected:
    static SelfRequest get(const std::string& path) {
        SelfRequest request;
        request.path = path;
        request.deadline = Clock::now() + std::chrono::seconds(60);
        return request;
    }
    HttpFailure failure_of(const SelfRequest& request) {
        try {
            const HttpResponse response = requests.fetch(request);
            ADD_FAILURE() << "status " << response.status;
        } catch (const HttpFailure& failure) {
            return failure;
        }
        return {FailureKind::host_error, 0, ""};
    }
    void expect_counts(std::uint64_t all, std::uint64_t failed) {
        EXPECT_EQ(counters[Counter::self_requests], all);
        EXPECT_EQ(counters[Counter::self_requests_failed], failed);
    }

    TestCounters counters;
    SelfRequests requests{counters};
};

std::string header_of(const std::string& request, const std::string& name) {
    const std::size_t begin = request.find("\r\n" + name);
    return begin == std::string::npos ? "" : request.substr(begin + 2, request.find("\r\n", begin + 2) - begin - 2);
}

TEST_F(SelfRequestsTest, FailUntilTheyAreInitialised) {
    const HttpFailure failure = failure_of(get("/"));
    EXPECT_EQ(failure.error(), ENOTCONN);
    EXPECT_NE(std::string(failure.what()).find("init_self_requests"), std::string::npos) << failure.what();
    expect_counts(1, 1);
}

TEST_F(SelfRequestsTest, ThroughTheUnixSocket) {
    const std::string path = testing::TempDir() + "self_requests_test.sock";
    HttpServer server([](const std::string&) { return ok("self", "Content-Type: text/plain\r\n"); }, path);
    requests.configure(path, "http://www.example.com", 50);
    for (int i = 0; i < 5; i++) {
        const HttpResponse response = requests.fetch(get("/a?b"));
        EXPECT_EQ(response.body, "self");
        EXPECT_EQ(response.content_type, "text/plain");
    }
    EXPECT_EQ(server.connections(), 1);
    const auto seen = server.requests();
    EXPECT_TRUE(seen[0].starts_with("GET /a?b HTTP/1.1\r\n")) << seen[0];
    EXPECT_EQ(header_of(seen[0], "Host"), "Host: www.example.com");
    requests.close_idle();
    requests.fetch(get("/"));
    EXPECT_EQ(server.connections(), 2);
    expect_counts(6, 0);
    EXPECT_GT(counters[Counter::fetch_time], 0U);
}

// The server it could not reach is the socket, not the host of the prefix.
TEST_F(SelfRequestsTest, FailuresNameTheUnixSocket) {
    const std::string path = testing::TempDir() + "self_requests_test_none.sock";
    requests.configure(path, "http://127.0.0.1:6081", 50);
    const HttpFailure missing = failure_of(get("/a"));
    EXPECT_EQ(missing.error(), ECONNREFUSED);
    EXPECT_EQ(std::string(missing.what()), "GET http://127.0.0.1:6081/a through the unix socket " + path +
                                               ": the socket cannot be connected to (No such file or directory)");
    HttpServer server([](const std::string&) { return std::string("nonsense"); }, path);
    const HttpFailure nonsense = failure_of(get("/a"));
    EXPECT_EQ(nonsense.error(), EPROTO);
    EXPECT_NE(std::string(nonsense.what()).find(path), std::string::npos) << nonsense.what();
}

TEST_F(SelfRequestsTest, ThroughThePrefix) {
    HttpServer server([](const std::string& request) {
        return request.starts_with("GET /site/away ") ? "HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: "
                                                        "http://127.0.0.1:1/\r\n\r\n"
               : request.starts_with("GET /site/on ") ? "HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: b\r\n\r\n"
                                                      : ok(request.substr(0, request.find(" HTTP")));
    });
    requests.configure("", server.url("/site//"), 1);
    EXPECT_EQ(requests.fetch(get("/a")).body, "GET /site/a");
    SelfRequest request = get("/on");
    EXPECT_EQ(requests.fetch(request).status, 302);
    request.max_redirects = 3;
    EXPECT_EQ(requests.fetch(request).body, "GET /site/b");
    request.path = "/away";
    EXPECT_EQ(failure_of(request).error(), EACCES);
    for (const char* path : {"", "a", "http://127.0.0.1/", "@evil.example/"}) {
        EXPECT_EQ(failure_of(get(path)).error(), EINVAL) << path;
    }
    expect_counts(8, 5);
}

// As when a VCL is loaded while a program of it boots and makes requests already.
TEST_F(SelfRequestsTest, MayBeConfiguredAnewMeanwhile) {
    HttpServer server([this](const std::string& request) {
        if (!request.starts_with("GET /on ")) {
            return ok("there");
        }
        requests.configure("", "http://127.0.0.1:1", 1);
        return std::string("HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: /b\r\n\r\n");
    });
    requests.configure("", server.url(""), 50);
    SelfRequest request = get("/on");
    request.max_redirects = 1;
    EXPECT_EQ(requests.fetch(request).body, "there");
    EXPECT_EQ(failure_of(get("/")).error(), ECONNREFUSED);
}

TEST_F(SelfRequestsTest, DepthTravelsAndEndsLoops) {
    HttpServer server([](const std::string&) { return ok(""); });
    requests.configure("", server.url(""), 50);
    SelfRequest request = get("/");
    for (unsigned depth = 0; depth < SelfRequests::max_depth; depth++) {
        request.origin.depth = depth;
        requests.fetch(request);
        const std::string line = header_of(server.requests().back(), "X-Tinykvm-Depth");
        EXPECT_EQ(self_request_depth(line), depth + 1) << line;
    }
    request.origin.depth = SelfRequests::max_depth;
    const HttpFailure failure = failure_of(request);
    EXPECT_EQ(failure.error(), ELOOP);
    EXPECT_NE(std::string(failure.what()).find("loop"), std::string::npos) << failure.what();
    EXPECT_EQ(server.requests().size(), SelfRequests::max_depth);
}

TEST_F(SelfRequestsTest, DepthCannotBeForged) {
    HttpServer server([](const std::string&) { return ok(""); });
    requests.configure("", server.url(""), 50);
    SelfRequest request = get("/");
    request.origin.depth = 2;
    request.headers = {"X-Tinykvm-Depth: 0", "x-tinykvm-depth: 9 abc", "X-Other: 1"};
    requests.fetch(request);
    const auto seen = server.requests();
    const std::string line = header_of(seen[0], "X-Tinykvm-Depth");
    EXPECT_EQ(self_request_depth(line), 3U);
    EXPECT_EQ(seen[0].find("x-tinykvm-depth"), std::string::npos);
    EXPECT_EQ(header_of(seen[0], "X-Other"), "X-Other: 1");

    EXPECT_EQ(self_request_depth("X-Other: 5"), std::nullopt);
    EXPECT_EQ(self_request_depth("no colon"), std::nullopt);
    for (const char* forged : {"X-Tinykvm-Depth:", "X-Tinykvm-Depth: 9", "X-Tinykvm-Depth: 9 ",
                               "X-Tinykvm-Depth: 9 0x00", "X-Tinykvm-Depth: -1 x", "X-Tinykvm-Depth: \x01"}) {
        EXPECT_EQ(self_request_depth(forged), 0U) << forged;
    }
    EXPECT_NE(self_request_origin(line)->request, 0U);
    // Another request cannot be named without the secret, nor without a number.
    EXPECT_EQ(self_request_origin("X-Tinykvm-Depth: 3 0x00 " + line.substr(line.rfind(' ') + 1))->request, 0U);
    for (const std::string& end : {std::string(), std::string(" "), std::string(" x"), std::string(" 1 2"),
                                   std::string(" -1"), std::string(" 99999999999999999999")}) {
        EXPECT_EQ(self_request_origin(line.substr(0, line.rfind(' ')) + end)->depth, 0U) << end;
    }
    std::string higher = line;
    higher.replace(higher.find(": 3"), 3, ": 3 ");
    EXPECT_EQ(self_request_depth(higher), 0U);
}

TEST_F(SelfRequestsTest, MaximumOfConcurrentRequests) {
    std::atomic<bool> go{false};
    HttpServer server([&](const std::string&) {
        eventually("the test lets the server answer", [&] { return go.load(); });
        return ok("");
    });
    requests.configure("", server.url(""), 2);
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; i++) {
        threads.emplace_back([&] { EXPECT_EQ(requests.fetch(get("/")).status, 200); });
    }
    eventually("two requests are under way", [&] { return server.requests().size() >= 2; });
    const HttpFailure failure = failure_of(get("/"));
    EXPECT_EQ(failure.kind(), FailureKind::busy);
    EXPECT_EQ(failure.error(), EAGAIN);
    EXPECT_NE(std::string(failure.what()).find("maximum"), std::string::npos) << failure.what();
    EXPECT_NE(std::string(failure.what()).find("loop"), std::string::npos) << failure.what();
    go = true;
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(requests.fetch(get("/")).status, 200);
    expect_counts(4, 1);
}

TEST_F(SelfRequestsTest, ConfigurationIsChecked) {
    const auto refused = [&](const std::string& socket, const std::string& prefix, long maximum,
                             const std::string& expected) {
        try {
            requests.configure(socket, prefix, maximum);
            ADD_FAILURE() << socket << " " << prefix << " " << maximum;
        } catch (const ConfigError& error) {
            EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
        }
    };
    const std::string good = "http://127.0.0.1:6081";
    refused("relative.sock", good, 1, "unix_socket \"relative.sock\": allowed is an absolute path");
    refused("/" + std::string(107, 'x'), good, 1, "unix_socket");
    refused("", "", 1, "http_prefix");
    refused("", "127.0.0.1:6081", 1, "http_prefix");
    refused("", "ftp://127.0.0.1", 1, "http_prefix");
    refused("", "http://u:p@127.0.0.1", 1, "http_prefix");
    refused("", "http://127.0.0.1/?a", 1, "http_prefix");
    refused("", good, 0, "max_concurrent_requests \"0\": allowed is a whole number from 1 to 10000");
    refused("", good, -1, "max_concurrent_requests");
    refused("", good, 10001, "max_concurrent_requests");
    EXPECT_EQ(failure_of(get("/")).error(), ENOTCONN);
    requests.configure("/" + std::string(106, 'x'), good, 10000);
}

}  // namespace
}  // namespace tinykvm::host
