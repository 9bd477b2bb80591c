// What programs fetch, with real forks and a server in this process.
#include <future>
#include <thread>

#include "tests/unit/eventually.hpp"
#include "tests/unit/http_server.hpp"
#include "tests/unit/vtc_guest.hpp"

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

class FetchTest : public VtcGuestTest {
  protected:
    ProgramConfig config(const std::vector<std::string>& hosts) {
        ProgramConfig config = guest_config("fetch");
        std::vector<HostRule> rules;
        for (const std::string& host : hosts) rules.push_back(HostRule::parse(host).value());
        config.allowed_hosts = HostRules(rules);
        return config;
    }
    std::shared_ptr<Pool> pool(const ProgramConfig& config) {
        BootControl control;
        return std::make_shared<Pool>(
            boot_program(
                "p", config, nullptr, [this](std::string_view line) { boot_log += std::string(line) + "\n"; }, control,
                GuestServices{self_requests, &counters}),
            counters);
    }
    static std::string host_of(const HttpServer& server) { return "127.0.0.1:" + std::to_string(server.port()); }

    std::shared_ptr<SelfRequests> self_requests = std::make_shared<SelfRequests>(counters);
    std::string boot_log;
};

TEST_F(FetchTest, WhatIsRefusedCausesNoConnection) {
    HttpServer target([](const std::string&) { return ok("target"); });
    HttpServer server([&](const std::string&) {
        return "HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: " + target.url("/") + "\r\n\r\n";
    });
    const std::string port = ":" + std::to_string(target.port());
    for (const auto& hosts : std::vector<std::vector<std::string>>{
             {}, {"127.0.0.1", "localhost", "*"}, {"*" + port}, {"*.localhost" + port}, {"127.0.0.2" + port}}) {
        const auto vms = pool(config(hosts));
        EXPECT_EQ(get(*vms, target.url("/"), "get"), "200 error 13 status 0");
        EXPECT_EQ(get(*vms, "http://localhost" + port + "/", "unverified"), "200 error 13 status 0");
        EXPECT_EQ(get(*vms, "http://[::1]" + port + "/", "get"), "200 error 13 status 0");
    }
    const auto vms = pool(config({host_of(server)}));
    EXPECT_EQ(get(*vms, server.url("/"), "follow"), "200 error 13 status 0");
    EXPECT_EQ(server.connections(), 1);
    EXPECT_EQ(target.connections(), 0);
}

TEST_F(FetchTest, HostOfAFieldIsSentAndOpensNoDoor) {
    HttpServer other([](const std::string&) { return ok("other"); });
    HttpServer server([&](const std::string& request) {
        if (request.starts_with("GET /here")) {
            return ok("x");
        }
        const std::string elsewhere = "http://localhost:" + std::to_string(other.port()) + "/";
        return "HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: " +
               (request.starts_with("GET /away") ? elsewhere : "/here") + "\r\n\r\n";
    });
    const auto vms = pool(config({host_of(server), "localhost:" + std::to_string(other.port())}));
    // A redirect on the same server still gets the header, but no other server does.
    EXPECT_EQ(get(*vms, server.url("/"), "field:Host: name.example"), "200 200 [] 1 x");
    EXPECT_EQ(get(*vms, server.url("/away"), "field:host: name.example"), "200 200 [] 5 other");
    for (const std::string& request : server.requests()) {
        EXPECT_NE(request.find("ost: name.example\r\n"), std::string::npos) << request;
        EXPECT_EQ(request.find("127.0.0.1"), std::string::npos) << request;
    }
    EXPECT_NE(other.requests().at(0).find("Host: localhost:"), std::string::npos);
    EXPECT_EQ(server.requests().size(), 3U);

    // The rules are about the URL: neither does a Host that is allowed make another server so, nor the other way round.
    const auto strict = pool(config({"localhost:" + std::to_string(other.port())}));
    EXPECT_EQ(get(*strict, server.url("/here"), "field:Host: localhost:" + std::to_string(other.port())),
              "200 error 13 status 0");
    EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(FetchTest, FieldsOfTheConnectionAreNotThePrograms) {
    HttpServer server([](const std::string&) { return ok("x", "Content-Type: a/b\r\n"); });
    const auto vms = pool(config({host_of(server)}));
    for (const char* field : {"field:Content-Length: 5", "field:Host:", "field:Transfer-Encoding: chunked",
                              "field:Connection: upgrade", "field:X-A: 1"}) {
        EXPECT_EQ(get(*vms, server.url("/"), field), "200 200 [a/b] 1 x") << field;
    }
    for (const std::string& request : server.requests()) {
        EXPECT_NE(request.find("\r\nHost: " + host_of(server) + "\r\n"), std::string::npos) << request;
        EXPECT_EQ(request.find("Content-Length"), std::string::npos) << request;
        EXPECT_EQ(request.find("chunked"), std::string::npos) << request;
        EXPECT_NE(request.find("\r\nX-Other: 7\r\n"), std::string::npos) << request;
    }
    EXPECT_EQ(get(*vms, server.url("/"), "field:no colon"), "200 error 22 status 0");
    EXPECT_EQ(server.connections(), 5);
}

TEST_F(FetchTest, ResponsesAreMemoryOfTheRequest) {
    HttpServer server([](const std::string& request) {
        const std::size_t size = std::strtoul(request.c_str() + 5, nullptr, 10);  // GET /SIZE
        return ok(std::string(size, 'x'));
    });
    ProgramConfig small = config({host_of(server)});
    small.max_request_memory = std::size_t{4} << 20;
    const auto vms = pool(small);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(get(*vms, server.url("/3000000"), "get").substr(0, 20), "200 200 [] 3000000 x");
        EXPECT_EQ(get(*vms, server.url("/5000000"), "get"), "200 error 90 status 0");
    }
    for (const int size : {0, 1, 4095, 4096, 4097}) {
        EXPECT_EQ(get(*vms, server.url("/" + std::to_string(size)), "get"),
                  "200 200 [] " + std::to_string(size) + " " + std::string(static_cast<std::size_t>(size), 'x'));
    }
    // Whatever the size, it is a response or an error, never a request that ran out of memory.
    for (int size = 3900000; size < 4300000; size += 25000) {
        const std::string said = get(*vms, server.url("/" + std::to_string(size)), "dummy_then_get");
        EXPECT_TRUE(said == "200 fits" || said == "200 error 90 status 0" || said == "200 error 12 status 0") << said;
    }
    EXPECT_EQ(counters[Counter::program_exception], 0U);
    EXPECT_EQ(counters[Counter::forks], vms->occupancy().vms);
    EXPECT_GT(counters[Counter::fetch_time], 0U);
}

TEST_F(FetchTest, PreparedBuffersAreFilled) {
    HttpServer server(
        [](const std::string&) { return std::string("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"); });
    const auto vms = pool(config({host_of(server)}));
    const auto into = [&](const std::string& sizes) { return get(*vms, server.url("/"), ("into:" + sizes).c_str()); };
    EXPECT_EQ(into("0:0"), "200 new 10 0123456789 0; new 39 HTTP/1.1 200 OK 0; ");
    EXPECT_EQ(into("20:64"), "200 given 10 0123456789 0; given 39 HTTP/1.1 200 OK 0; ");
    EXPECT_EQ(into("11:40"), "200 given 10 0123456789 0; given 39 HTTP/1.1 200 OK 0; ");
    EXPECT_EQ(into("10:39"), "200 given 10 0123456789 #; given 39 HTTP/1.1 200 OK #; ");
    EXPECT_EQ(into("20:0"), "200 given 10 0123456789 0; new 39 HTTP/1.1 200 OK 0; ");
    EXPECT_EQ(into("0:64"), "200 new 10 0123456789 0; given 39 HTTP/1.1 200 OK 0; ");
    EXPECT_EQ(into("9:64"), "200 error 90 status 0 kept");
    EXPECT_EQ(into("20:38"), "200 error 90 status 0 kept");
    EXPECT_EQ(get(*vms, server.url("/"), "room:16384"), "200 HTTP/1.1 200 OK");
    EXPECT_EQ(get(*vms, server.url("/"), "room:64"), "200 HTTP/1.1 200 OK");
    EXPECT_EQ(get(*vms, server.url("/"), "room:63"), "200 none");
    EXPECT_EQ(counters[Counter::program_exception], 0U);
}

TEST_F(FetchTest, BodiesArriveWhole) {
    HttpServer server([](const std::string& request) { return ok(request.substr(request.find("\r\n\r\n") + 4)); });
    const auto vms = pool(config({host_of(server)}));
    std::string body(100000, '\0');
    for (std::size_t i = 0; i < body.size(); i++) body[i] = static_cast<char>('a' + i % 23);
    Request request;
    const std::string url = server.url("/");
    request.method = "POST";
    request.url = url;
    request.argument = "post";
    request.content_type = "text/x";
    EXPECT_TRUE(ask(*vms, request, body).starts_with("200 200 [] 100000 " + body.substr(0, 8000)));
    const auto seen = server.requests();
    EXPECT_NE(seen[0].find("Content-Type: text/x\r\n"), std::string::npos);
    EXPECT_TRUE(seen[0].ends_with(body));
}

TEST_F(FetchTest, ClientThatLeavesEndsAFetch) {
    HttpServer silent([](const std::string&) { return ""; });
    const auto vms = pool(config({host_of(silent)}));
    Lease lease = vms->acquire(soon(), nullptr);
    Request request;
    const std::string url = silent.url("/");
    request.url = url;
    request.argument = "get";
    lease->begin(request);
    const Outcome outcome = lease->run([&] { return !silent.requests().empty(); });
    EXPECT_FALSE(outcome.answered);
    EXPECT_EQ(outcome.failures.at(0).kind(), FailureKind::client_gone);
    lease.give_back();
    EXPECT_EQ(get(*vms, "ftp://x/", "get"), "200 error 22 status 0");
}

TEST_F(FetchTest, TimeIsLeftToSaySo) {
    HttpServer silent([](const std::string&) { return ""; });
    ProgramConfig hasty = config({host_of(silent)});
    hasty.max_request_time = 2s;
    const auto vms = pool(hasty);
    EXPECT_EQ(get(*vms, silent.url("/"), "get"), "200 error 110 status 0");
    EXPECT_EQ(counters[Counter::program_timeout], 0U);
}

TEST_F(FetchTest, WhatMainFetchedIsInEveryRequest) {
    HttpServer server([](const std::string&) { return ok("at boot"); });
    ProgramConfig fetching = config({host_of(server)});
    fetching.main_arguments = {server.url("/")};
    const auto vms = pool(fetching);
    EXPECT_EQ(boot_log, "at boot\n");
    for (int i = 0; i < 3; i++) EXPECT_EQ(get(*vms, "/", "booted"), "200 200 [] 7 at boot");
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(FetchTest, BootThatFetchesCanBeCancelled) {
    HttpServer silent([](const std::string&) { return ""; });
    ProgramConfig fetching = config({host_of(silent)});
    fetching.main_arguments = {silent.url("/")};
    BootControl control;
    auto booting = std::async(std::launch::async, [&] {
        try {
            (void)boot_program(
                "p", fetching, nullptr, [](std::string_view) {}, control, GuestServices{self_requests, &counters});
            return false;
        } catch (const Failure&) {
            return true;
        }
    });
    eventually("the program asks the server", [&] { return !silent.requests().empty(); });
    eventually("the boot that is cancelled ends", [&] {
        control.cancel();
        return booting.wait_for(10ms) == std::future_status::ready;
    });
    EXPECT_TRUE(booting.get());
}

TEST_F(FetchTest, SelfRequestsKnowTheirDepth) {
    HttpServer server([](const std::string&) { return ok("self"); });
    self_requests->configure("", server.url(""), 5);
    const auto vms = pool(config({}));
    Request request;
    request.url = "/x";
    request.argument = "request";
    request.origin.depth = 4;
    EXPECT_EQ(ask(*vms, request), "200 200 [] 4 self");
    request.origin.depth = SelfRequests::max_depth;
    EXPECT_EQ(ask(*vms, request), "200 error 40 status 0");
    const auto seen = server.requests();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_NE(seen[0].find("\r\nX-Tinykvm-Depth: 5 "), std::string::npos) << seen[0];
    EXPECT_EQ(counters[Counter::self_requests], 2U);
    EXPECT_EQ(counters[Counter::self_requests_failed], 1U);
}

TEST_F(FetchTest, RequestThatWaitsForItselfFailsAtOnce) {
    std::shared_ptr<Pool> vms;
    std::string inner, kept;
    HttpServer server([&](const std::string& request) {
        const std::size_t begin = request.find("X-Tinykvm-Depth");
        kept = request.substr(begin, request.find("\r\n", begin) - begin);
        try {
            inner = vms->acquire(soon(), nullptr, self_request_origin(kept)->request) ? "a VM" : "none";
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind(), FailureKind::busy);
            inner = failure.what();
        }
        return ok("self");
    });
    self_requests->configure("", server.url(""), 5);
    ProgramConfig settings = config({});
    Request request;
    request.url = "/x";
    request.argument = "request";
    vms = pool(settings);
    EXPECT_EQ(ask(*vms, request), "200 200 [] 4 self");
    EXPECT_NE(inner.find("(concurrency: 1)"), std::string::npos) << inner;
    // It is over, so that what it carried names nothing.
    Lease held = vms->acquire(soon(), nullptr);
    EXPECT_THROW((void)vms->acquire(Clock::now() + 10ms, nullptr, self_request_origin(kept)->request), Failure);
    EXPECT_EQ(counters[Counter::queue_timeouts], 1U);
    held.give_back();
    settings.concurrency = 2;
    vms = pool(settings);
    EXPECT_EQ(ask(*vms, request), "200 200 [] 4 self");
    EXPECT_EQ(inner, "a VM");
}

}  // namespace
}  // namespace tinykvm::host
