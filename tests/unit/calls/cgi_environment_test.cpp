// The meta-variables of CGI.
#include "src/calls/cgi_environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace tinykvm::host {
namespace {

class CgiEnvironment : public testing::Test {
  protected:
    std::map<std::string, std::string> variables(std::optional<std::size_t> body_size = std::nullopt) {
        request.headers = lines;
        std::map<std::string, std::string> result;
        for (const std::string& entry : cgi_environment(request, config, body_size)) {
            const std::size_t equals = entry.find('=');
            EXPECT_TRUE(result.emplace(entry.substr(0, equals), entry.substr(equals + 1)).second) << entry;
        }
        return result;
    }

    Request request;
    std::vector<std::string_view> lines;
    ProgramConfig config;
};

TEST_F(CgiEnvironment, SaysWhatTheRequestIs) {
    request.method = "POST";
    request.url = "/a%20b+c/d?q=%20&r";
    request.content_type = "text/plain";
    config.filename = "/usr/bin/dash";
    auto found = variables(12);
    EXPECT_EQ(found["REQUEST_METHOD"], "POST");
    EXPECT_EQ(found["REQUEST_URI"], "/a%20b+c/d?q=%20&r");
    EXPECT_EQ(found["SCRIPT_NAME"], "");
    EXPECT_EQ(found["PATH_INFO"], "/a b+c/d");
    EXPECT_EQ(found["QUERY_STRING"], "q=%20&r");
    EXPECT_EQ(found["CONTENT_TYPE"], "text/plain");
    EXPECT_EQ(found["CONTENT_LENGTH"], "12");
    EXPECT_EQ(found["SERVER_PROTOCOL"], "HTTP/1.1");
    EXPECT_EQ(found["SCRIPT_FILENAME"], "/usr/bin/dash");
    EXPECT_EQ(found["REDIRECT_STATUS"], "200");
}

TEST_F(CgiEnvironment, WithoutBodyOrQuery) {
    request.url = "/";
    auto found = variables(0);
    EXPECT_EQ(found.count("CONTENT_LENGTH") + found.count("CONTENT_TYPE"), 0U);
    EXPECT_EQ(found.at("QUERY_STRING"), "") << "RFC 3875: it is always there";
    EXPECT_EQ(found.count("REMOTE_ADDR"), 0U) << "nobody knows it";
}

TEST_F(CgiEnvironment, TheScriptIsTheFirstArgumentWithAPath) {
    config.filename = "/usr/bin/python3";
    config.main_arguments = {"-u", "/srv/app.py", "/other"};
    EXPECT_EQ(variables().at("SCRIPT_FILENAME"), "/srv/app.py");
}

TEST_F(CgiEnvironment, WhatIsConfiguredCountsMore) {
    config.environment = {"SCRIPT_NAME=/app", "SERVER_PORT=443", "HTTP_ACCEPT=none", "OTHER=1"};
    lines = {"Accept: text/html"};
    request.url = "/app/rest";
    auto found = variables();
    EXPECT_EQ(found.at("PATH_INFO"), "/rest");
    EXPECT_EQ(found.count("SCRIPT_NAME") + found.count("SERVER_PORT") + found.count("HTTP_ACCEPT"), 0U);
    request.url = "/app";
    EXPECT_EQ(variables().at("PATH_INFO"), "");
    request.url = "/apple";
    EXPECT_EQ(variables().at("PATH_INFO"), "/apple") << "another one";
}

TEST_F(CgiEnvironment, ServerAndClient) {
    lines = {"Host: example.com:8080", "X-Forwarded-For: 198.51.100.1, 192.0.2.7"};
    auto found = variables();
    EXPECT_EQ(found["SERVER_NAME"], "example.com");
    EXPECT_EQ(found["SERVER_PORT"], "8080");
    EXPECT_EQ(found["REMOTE_ADDR"], "192.0.2.7") << "the one that Varnish added";
    lines = {"Host: [2001:db8::1]:81", "X-Forwarded-For: 2001:db8::2"};
    found = variables();
    EXPECT_EQ(found["SERVER_NAME"], "[2001:db8::1]");
    EXPECT_EQ(found["SERVER_PORT"], "81");
    EXPECT_EQ(found["REMOTE_ADDR"], "2001:db8::2");
    lines = {"Host: [2001:db8::1]", "X-Forwarded-For: unknown"};
    found = variables();
    EXPECT_EQ(found["SERVER_NAME"], "[2001:db8::1]");
    EXPECT_EQ(found["SERVER_PORT"], "80");
    EXPECT_EQ(found.count("REMOTE_ADDR"), 0U);
    lines = {"Host: a:123456"};
    EXPECT_EQ(variables().at("SERVER_PORT"), "80");
}

TEST_F(CgiEnvironment, FieldsOfTheHeader) {
    lines = {"X-Test: one", "x-test: two",  "Cookie: a=1", "Cookie: b=2", "Accept:",
             "No colon",    "X.Dot: first", "X_Test: no",  "Te: no",      "Connection: X-Hop, close",
             "X-Hop: no"};
    auto found = variables();
    EXPECT_EQ(found.at("HTTP_X_TEST"), "one, two") << "a name with an underscore must not pass for it";
    EXPECT_EQ(found.at("HTTP_COOKIE"), "a=1; b=2");
    EXPECT_EQ(found.at("HTTP_ACCEPT"), "");
    EXPECT_EQ(std::count_if(found.begin(), found.end(), [](const auto& one) { return one.first.starts_with("HTTP_"); }),
              3);
}

TEST_F(CgiEnvironment, WhatProgramsMustNotGet) {
    lines = {"Proxy: http://evil",         "PROXY: http://evil", "Authorization: Basic eDp5", "Proxy-Authorization: x",
             "Transfer-Encoding: chunked", "Content-Length: 7",  "Content-Type: text/plain"};
    for (const auto& [name, value] : variables()) {
        EXPECT_FALSE(name.starts_with("HTTP_")) << name << "=" << value;
    }
}

}  // namespace
}  // namespace tinykvm::host
