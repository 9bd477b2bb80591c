// The HTTP client against a server in this process.
#include "src/fetch/http_client.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/unit/http_server.hpp"

namespace tinykvm::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

HttpRequest get(const std::string& url) {
    HttpRequest request;
    request.url = url;
    request.deadline = Clock::now() + seconds(30);
    return request;
}

HttpFailure failure_of(const HttpRequest& request) {
    HttpClient client;
    try {
        const HttpResponse response = client.fetch(request);
        ADD_FAILURE() << request.url << ": status " << response.status;
    } catch (const HttpFailure& failure) {
        return failure;
    }
    return {FailureKind::host_error, 0, ""};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string to(const std::string& location, int status = 302) {
    return "HTTP/1.1 " + std::to_string(status) + " Moved\r\nContent-Length: 4\r\nLocation: " + location +
           "\r\n\r\ngone";
}

TEST(HttpClient, ResponseIsTakenApart) {
    HttpServer server(
        [](const std::string&) { return ok("hello", "Content-Type: text/plain\r\nX-A:  1 \r\nX-Empty:\r\n"); });
    HttpClient client;
    const HttpResponse response = client.fetch(get(server.url("/a?b=c")));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hello");
    EXPECT_EQ(response.content_type, "text/plain");
    EXPECT_EQ(response.header("x-a"), "1");
    EXPECT_EQ(response.header("X-Empty"), "");
    EXPECT_EQ(response.headers.size(), 4U);
    EXPECT_EQ(response.url, server.url("/a?b=c"));
    ASSERT_EQ(server.requests().size(), 1U);
    EXPECT_TRUE(server.requests()[0].starts_with("GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")) << server.requests()[0];
}

TEST(HttpClient, AnyStatusIsAResponse) {
    HttpServer server([](const std::string&) { return "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"; });
    HttpClient client;
    const HttpResponse response = client.fetch(get(server.url("/")));
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, "no");
}

TEST(HttpClient, ChunksAndInterimResponses) {
    HttpServer server([](const std::string&) {
        return "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    });
    HttpClient client;
    const HttpResponse response = client.fetch(get(server.url("/")));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "abcde");
    EXPECT_EQ(response.header("X-Early"), "");
}

TEST(HttpClient, BodyAndHeadersOfTheRequest) {
    HttpServer server([](const std::string&) { return ok(""); });
    HttpClient client;
    const std::string body(3000000, 'x');
    HttpRequest request = get(server.url("/"));
    request.method = "POST";
    request.body = std::as_bytes(std::span(body));
    request.headers = {"Content-Type: a/b",          "X-Empty:",          "Content-Length: 7",
                       "Transfer-Encoding: chunked", "Connection: close", "Host: other.example"};
    EXPECT_EQ(client.fetch(request).status, 200);
    request.method = "PUT";
    request.headers.clear();
    request.body = {};
    request.with_body = true;
    EXPECT_EQ(client.fetch(request).status, 200);
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    const std::string& first = requests[0];
    EXPECT_TRUE(first.ends_with("\r\n\r\n" + body));
    const std::string head = first.substr(0, first.find("\r\n\r\n") + 2);
    EXPECT_TRUE(contains(head, "\r\nContent-Length: 3000000\r\n")) << head;
    EXPECT_TRUE(contains(head, "\r\nContent-Type: a/b\r\n")) << head;
    EXPECT_TRUE(contains(head, "\r\nX-Empty:\r\n")) << head;
    EXPECT_TRUE(contains(head, "\r\nHost: other.example\r\n")) << head;
    EXPECT_FALSE(contains(head, "chunked")) << head;
    EXPECT_FALSE(contains(head, "Connection")) << head;
    EXPECT_FALSE(contains(head, "Expect")) << head;
    const std::string& second = requests[1];
    EXPECT_TRUE(second.starts_with("PUT / ")) << second;
    EXPECT_TRUE(contains(second, "Content-Length: 0\r\n")) << second;
    EXPECT_FALSE(contains(second, "Content-Type")) << second;
}

TEST(HttpClient, HeadHasNoBody) {
    HttpServer server([](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"; });
    HttpClient client;
    HttpRequest request = get(server.url("/"));
    request.method = "HEAD";
    request.max_body = 10;
    const HttpResponse response = client.fetch(request);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "");
    EXPECT_EQ(response.header("Content-Length"), "5000000");
}

TEST(HttpClient, UnixSocket) {
    const std::string path = testing::TempDir() + "http_client_test.sock";
    HttpServer server([](const std::string&) { return ok("local"); }, path);
    HttpClient client(2);
    HttpRequest request = get("http://example.com/");
    request.unix_socket = path;
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(client.fetch(request).body, "local");
    }
    EXPECT_EQ(server.connections(), 1);
    client.close_idle();
    EXPECT_EQ(client.fetch(request).body, "local");
    EXPECT_EQ(server.connections(), 2);
}

TEST(HttpClient, ConnectionsAreKeptOnlyWhenAskedFor) {
    HttpServer server([](const std::string&) { return ok("x"); });
    HttpClient keeps(1), closes;
    for (int i = 0; i < 3; i++) keeps.fetch(get(server.url("/")));
    EXPECT_EQ(server.connections(), 1);
    for (int i = 0; i < 3; i++) closes.fetch(get(server.url("/")));
    EXPECT_EQ(server.connections(), 4);
}

TEST(HttpClient, KeptConnectionThatTheServerClosed) {
    auto server = std::make_unique<HttpServer>([](const std::string&) { return ok("x"); });
    const std::string url = server->url("/");
    HttpClient client(1);
    EXPECT_EQ(client.fetch(get(url)).body, "x");
    server.reset();
    try {
        client.fetch(get(url));
        FAIL();
    } catch (const HttpFailure& failure) {
        EXPECT_EQ(failure.error(), ECONNREFUSED) << failure.what();
    }
}

TEST(HttpClient, DeadlineHolds) {
    HttpServer silent([](const std::string&) { return ""; });
    HttpServer slow([](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"; });
    for (const std::string& url : {silent.url("/"), slow.url("/")}) {
        HttpRequest request = get(url);
        const auto begin = Clock::now();
        request.deadline = begin + milliseconds(150);
        const HttpFailure failure = failure_of(request);
        EXPECT_GE(Clock::now(), request.deadline);
        EXPECT_LT(Clock::now(), begin + seconds(20));
        EXPECT_EQ(failure.kind(), FailureKind::timed_out);
        EXPECT_EQ(failure.error(), ETIMEDOUT);
        EXPECT_TRUE(contains(failure.what(), "GET " + url)) << failure.what();
    }
    HttpRequest late = get(silent.url("/"));
    late.deadline = Clock::now();
    EXPECT_EQ(failure_of(late).kind(), FailureKind::timed_out);
    EXPECT_EQ(silent.connections(), 1);
}

TEST(HttpClient, ResponsesThatHaveBegunMayTakeLonger) {
    HttpServer silent([](const std::string&) { return ""; });
    HttpRequest request = get(silent.url("/"));
    request.answer_by = Clock::now() + milliseconds(150);
    const HttpFailure failure = failure_of(request);
    EXPECT_LT(Clock::now(), request.deadline);
    EXPECT_EQ(failure.error(), ETIMEDOUT);
    EXPECT_TRUE(contains(failure.what(), "no response has begun")) << failure.what();

    HttpServer slow([](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"; });
    HttpRequest begun = get(slow.url("/"));
    begun.take_body = [&](std::string_view) { begun.answer_by = Clock::now(); };
    begun.deadline = Clock::now() + milliseconds(300);
    EXPECT_TRUE(contains(failure_of(begun).what(), "no complete response"));
}

TEST(HttpClient, CancellationHolds) {
    HttpServer silent([](const std::string&) { return ""; });
    HttpRequest request = get(silent.url("/"));
    int asked = 0;
    request.cancelled = [&] { return ++asked == 3; };
    const HttpFailure failure = failure_of(request);
    EXPECT_EQ(failure.kind(), FailureKind::client_gone);
    EXPECT_EQ(failure.error(), ECANCELED);
    EXPECT_EQ(asked, 3);
    EXPECT_LT(Clock::now(), request.deadline);
}

TEST(HttpClient, ResponsesAreLimited) {
    const std::string body(100000, 'x');
    HttpServer known([&](const std::string&) { return ok(body); });
    HttpServer chunked([&](const std::string&) {
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + body + "\r\n0\r\n\r\n";
    });
    HttpServer headers([](const std::string&) { return ok("", "X: " + std::string(5000, 'x') + "\r\n"); });
    HttpServer endless_headers([](const std::string&) {
        std::string text = "HTTP/1.1 200 OK\r\n";
        for (int i = 0; i < 10000; i++) text += "X-Many: 1234567890\r\n";
        return text;
    });
    for (const std::string& url : {known.url("/"), chunked.url("/")}) {
        HttpRequest request = get(url);
        request.max_body = 99999;
        EXPECT_EQ(failure_of(request).error(), EMSGSIZE);
        request.max_body = 100000;
        HttpClient client;
        EXPECT_EQ(client.fetch(request).body, body);
    }
    HttpRequest request = get(headers.url("/"));
    request.max_headers = 4096;
    EXPECT_EQ(failure_of(request).error(), EMSGSIZE);
    EXPECT_EQ(failure_of(get(endless_headers.url("/"))).error(), EMSGSIZE);
}

TEST(HttpClient, BodyGoesWhereItIsWanted) {
    HttpServer server([](const std::string&) { return ok(std::string(500000, 'x')); });
    HttpClient client;
    HttpRequest request = get(server.url("/"));
    std::size_t bytes = 0;
    request.take_body = [&](std::string_view piece) { bytes += piece.size(); };
    EXPECT_EQ(client.fetch(request).body, "");
    EXPECT_EQ(bytes, 500000U);
    request.take_body = [](std::string_view) { throw std::runtime_error("disk full"); };
    EXPECT_THROW(client.fetch(request), std::runtime_error);
}

TEST(HttpClient, RedirectsOnlyWhenAskedFor) {
    HttpServer server([](const std::string& request) {
        return request.starts_with("GET /end ")    ? ok("end")
               : request.starts_with("GET /loop ") ? to("/loop")
                                                   : to("/end");
    });
    HttpClient client;
    HttpRequest request = get(server.url("/begin"));
    EXPECT_EQ(client.fetch(request).status, 302);
    request.max_redirects = 1;
    const HttpResponse response = client.fetch(request);
    EXPECT_EQ(response.body, "end");
    EXPECT_EQ(response.url, server.url("/end"));
    request.url = server.url("/loop");
    request.max_redirects = 5;
    EXPECT_EQ(failure_of(request).error(), ELOOP);
}

TEST(HttpClient, RedirectsOfPosts) {
    HttpServer server([](const std::string& request) {
        return request.find(" /end ") != std::string::npos ? ok("end")
               : request.starts_with("POST /303")          ? to("/end", 303)
                                                           : to("/end", 307);
    });
    HttpClient client;
    HttpRequest request = get(server.url("/303"));
    request.method = "POST";
    const std::string body = "data";
    request.body = std::as_bytes(std::span(body));
    request.max_redirects = 3;
    EXPECT_EQ(client.fetch(request).body, "end");
    request.url = server.url("/307");
    EXPECT_EQ(client.fetch(request).body, "end");
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 4U);
    EXPECT_TRUE(requests[1].starts_with("GET /end ")) << requests[1];
    EXPECT_FALSE(requests[1].ends_with("data"));
    EXPECT_TRUE(requests[3].starts_with("POST /end ")) << requests[3];
    EXPECT_TRUE(requests[3].ends_with("data"));
}

TEST(HttpClient, RedirectsToOtherHostsAreCheckedAndAnonymous) {
    HttpServer target([](const std::string&) { return ok("target"); });
    HttpServer server([&](const std::string&) { return to(target.url("/")); });
    HttpRequest request = get(server.url("/"));
    request.headers = {"Authorization: secret", "Cookie: secret", "X-Other: kept"};
    request.max_redirects = 1;
    HttpClient client;
    EXPECT_EQ(client.fetch(request).body, "target");
    ASSERT_EQ(target.requests().size(), 1U);
    EXPECT_FALSE(contains(target.requests()[0], "secret"));
    EXPECT_TRUE(contains(target.requests()[0], "X-Other: kept"));

    request.check_url = [&](const HttpUrl& url) {
        if (url.port != server.port()) throw HttpFailure(FailureKind::host_error, EACCES, "not allowed");
    };
    EXPECT_EQ(failure_of(request).error(), EACCES);
    EXPECT_EQ(target.connections(), 1);
    for (const char* location : {"file:///etc/passwd", "gopher://127.0.0.1/", "http://", "//"}) {
        HttpServer strange([&](const std::string&) { return to(location); });
        request.url = strange.url("/");
        request.check_url = nullptr;
        EXPECT_EQ(failure_of(request).error(), EINVAL) << location;
    }
}

TEST(HttpClient, AddressIsCheckedBeforeItIsConnectedTo) {
    HttpServer server([](const std::string&) { return ok("x"); });
    HttpRequest request = get("http://localhost:" + std::to_string(server.port()) + "/");
    int asked = 0;
    request.check_address = [&](const HttpUrl& url, const sockaddr& address) {
        ++asked;
        EXPECT_EQ(url.host, "localhost");
        EXPECT_TRUE(address.sa_family == AF_INET || address.sa_family == AF_INET6);
        throw HttpFailure(FailureKind::host_error, EACCES, "not there");
    };
    EXPECT_EQ(failure_of(request).error(), EACCES);
    EXPECT_GE(asked, 1);
    EXPECT_EQ(server.connections(), 0);
}

TEST(HttpClient, UrlsAreReadAsTheyAreUsed) {
    const HttpUrl url = parse_http_url("HTTPS://User:Pass@Example.COM:8443/x");
    EXPECT_EQ(url.scheme, "https");
    EXPECT_EQ(url.host, "example.com");
    EXPECT_EQ(url.port, 8443);
    EXPECT_TRUE(url.has_credentials);
    EXPECT_EQ(parse_http_url("http://a.example").port, 80);
    EXPECT_EQ(parse_http_url("https://a.example").port, 443);
    EXPECT_EQ(parse_http_url("http://[::1]:81/").host, "::1");
    EXPECT_EQ(parse_http_url("http://a.example\\@b.example/").host, "b.example");
    EXPECT_EQ(parse_http_url("http://0x7f.1/").host, "127.0.0.1");
    for (const char* bad :
         {"", "/path", "example.com/", "ftp://a/", "file:///etc/passwd", "http://", "http:///", "http://a b/",
          "http://a\r\nX: y/", "http://a/\nX", "http://ex\xC3\xA4mple.com/", "http://a:99999/", "http://a:x/",
          "http://[::1/", "http://a%2Fb/", "http://a%00b/", "javascript:x"}) {
        EXPECT_THROW(parse_http_url(bad), HttpFailure) << bad;
    }
    EXPECT_THROW(parse_http_url(std::string("http://a/\0b", 11)), HttpFailure);
}

TEST(HttpClient, BadRequestsCauseNoConnection) {
    HttpServer server([](const std::string&) { return ok("x"); });
    HttpRequest request = get(server.url("/"));
    for (const char* line : {"no colon", "X: a\r\nY: b", "X : a", ": a", "X: \x01"}) {
        request.headers = {line};
        EXPECT_EQ(failure_of(request).error(), EINVAL) << line;
    }
    request.headers.clear();
    for (const char* method : {"", "GET /", "GET\r\n"}) {
        request.method = method;
        EXPECT_EQ(failure_of(request).error(), EINVAL) << method;
    }
    request.method = "GET";
    for (const char* interface : {"if!lo", "a b", "host!example.com", "../x"}) {
        request.interface = interface;
        EXPECT_EQ(failure_of(request).error(), EINVAL) << interface;
    }
    EXPECT_EQ(server.connections(), 0);
    request.interface = "127.0.0.1";
    HttpClient client;
    EXPECT_EQ(client.fetch(request).body, "x");
}

TEST(HttpClient, FailuresSayWhy) {
    std::string closed;
    {
        HttpServer server([](const std::string&) { return ok("x"); });
        closed = server.url("/");
    }
    const HttpFailure refused = failure_of(get(closed));
    EXPECT_EQ(refused.kind(), FailureKind::host_error);
    EXPECT_EQ(refused.error(), ECONNREFUSED);
    EXPECT_TRUE(contains(refused.what(), "GET " + closed)) << refused.what();
    HttpServer nonsense([](const std::string&) { return "SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n\r\n"; });
    EXPECT_EQ(failure_of(get(nonsense.url("/"))).error(), EPROTO);
    HttpServer cut(
        [](const std::string&) { return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nfive!"; });
    EXPECT_EQ(failure_of(get(cut.url("/"))).error(), EPROTO);
    HttpRequest unix_request = get("http://x/");
    unix_request.unix_socket = "/nonexistent/socket";
    EXPECT_EQ(failure_of(unix_request).error(), ECONNREFUSED);
}

TEST(HttpClient, CertificatesAreVerifiedUnlessTheyNeedNotBe) {
    std::FILE* server = popen("python3 " TINYKVM_SOURCE_DIR "/tests/unit/https_server.py 4", "r");
    int port = 0;
    ASSERT_EQ(std::fscanf(server, "%d", &port), 1);
    HttpRequest request = get("https://localhost:" + std::to_string(port) + "/");
    EXPECT_EQ(failure_of(request).error(), EPROTO);
    request.verify_host = false;
    EXPECT_EQ(failure_of(request).error(), EPROTO);
    request.verify_peer = false;
    HttpClient client;
    EXPECT_EQ(client.fetch(request).body, "secret");
    // Elsewhere, where a redirect leads, it counts for nothing.
    HttpServer redirects([&](const std::string&) { return to(request.url); });
    HttpRequest redirected = get(redirects.url("/"));
    redirected.max_redirects = 1;
    redirected.verify_peer = redirected.verify_host = false;
    EXPECT_EQ(failure_of(redirected).error(), EPROTO);
    EXPECT_EQ(pclose(server), 0);
}

TEST(HttpClient, HttpsMayBeKept) {
    std::FILE* server = popen("python3 " TINYKVM_SOURCE_DIR "/tests/unit/https_server.py 2", "r");
    int port = 0;
    ASSERT_EQ(std::fscanf(server, "%d", &port), 1);
    HttpServer plain([](const std::string&) { return ok("plain"); });
    HttpRequest request = get("https://localhost:" + std::to_string(port) + "/to/" + plain.url("/"));
    request.verify_peer = false;
    request.max_redirects = 1;
    HttpClient client;
    EXPECT_EQ(client.fetch(request).body, "plain");
    request.keep_https = true;
    const HttpFailure failure = failure_of(request);
    EXPECT_EQ(failure.error(), EACCES);
    EXPECT_TRUE(contains(failure.what(), "a redirect leads from https to http")) << failure.what();
    EXPECT_EQ(plain.connections(), 1);
    EXPECT_EQ(pclose(server), 0);
}

TEST(HttpClient, EnvironmentChangesNothing) {
    HttpServer server([](const std::string&) { return ok("x"); });
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    HttpClient client;
    EXPECT_EQ(client.fetch(get(server.url("/"))).body, "x");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

TEST(HttpClient, ManyThreadsAtOnce) {
    HttpServer server([](const std::string& request) { return ok(request.substr(0, request.find(" HTTP"))); });
    HttpClient client(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; i++) {
                const std::string path = "/" + std::to_string(t) + "/" + std::to_string(i);
                EXPECT_EQ(client.fetch(get(server.url(path))).body, "GET " + path);
            }
        });
    }
    for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace tinykvm::host
