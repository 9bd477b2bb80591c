// How a chain fetches, as VCL says it.
#include "src/config/fetch_options.hpp"

#include <gtest/gtest.h>

#include "src/base/config_error.hpp"

namespace tinykvm::host {
namespace {

std::string complaint(const std::string& json) {
    try {
        (void)parse_fetch_options(json);
        return "accepted";
    } catch (const ConfigError& error) {
        return error.what();
    }
}

TEST(FetchOptions, AreWhatTheObjectSays) {
    const FetchOptions none = parse_fetch_options("");
    EXPECT_TRUE(none.headers.empty() && none.forward_headers.empty() && !none.timeout);
    const FetchOptions all = parse_fetch_options(R"({
        "headers": ["Host: a.example", "X-Empty:"],  // comments are allowed
        "forward_headers": ["Accept", "If-None-Match"],
        "timeout": 1.5
    })");
    EXPECT_EQ(all.headers, (std::vector<std::string>{"Host: a.example", "X-Empty:"}));
    EXPECT_EQ(all.forward_headers, (std::vector<std::string>{"Accept", "If-None-Match"}));
    EXPECT_EQ(all.timeout, std::chrono::milliseconds(1500));
}

TEST(FetchOptions, WhatIsWrongIsNamed) {
    const std::pair<const char*, const char*> cases[] = {
        {"unused", "its config: it is not a JSON object: unused"},
        {"[1]", "its config: it is not a JSON object: [1]"},
        {R"({"timout": 1})", "its config: key \"timout\" is unknown; there are headers, forward_headers and timeout"},
        {R"({"timeout": 0})", "its config: key \"timeout\": allowed is a number of seconds from 0.001 to 86400"},
        {R"({"timeout": "1"})", "its config: key \"timeout\": allowed is a number of seconds from 0.001 to 86400"},
        {R"({"headers": "A: b"})", "its config: key \"headers\": allowed is a list of at most 64 strings"},
        {R"({"headers": [1]})", "its config: key \"headers\": allowed are strings"},
        {R"({"headers": ["A"]})", "its config: key \"headers\": an entry has no colon: A"},
        {R"({"headers": ["A: b\r\nC: d"]})",
         "its config: key \"headers\": an entry has a control character in its value: A: b\\x0D\\nC: d"},
        {R"({"headers": ["Transfer-Encoding: chunked"]})",
         "its config: key \"headers\": an entry is not VCL's to set: Transfer-Encoding: chunked"},
        {R"({"forward_headers": ["A: b"]})",
         "its config: key \"forward_headers\": an entry is no name of a header to send: A: b"},
        {R"({"forward_headers": ["Connection"]})",
         "its config: key \"forward_headers\": an entry is no name of a header to send: Connection"},
    };
    for (const auto& [json, said] : cases) {
        EXPECT_EQ(complaint(json), said) << json;
    }
    EXPECT_NE(complaint("{\"headers\": " + std::string(100000, '[') + std::string(100000, ']') + "}"), "accepted");
}

}  // namespace
}  // namespace tinykvm::host
