// Which hosts programs may reach: rules, names and addresses.
#include "src/fetch/host_rules.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>

namespace tinykvm::host {
namespace {

struct Address {
    sockaddr_storage storage{};
    const sockaddr& get() const { return reinterpret_cast<const sockaddr&>(storage); }
};

Address address(const char* text) {
    Address result;
    auto& four = reinterpret_cast<sockaddr_in&>(result.storage);
    auto& six = reinterpret_cast<sockaddr_in6&>(result.storage);
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
    } else {
        ADD_FAILURE() << text;
    }
    return result;
}

HostRules rules(std::initializer_list<const char*> texts) {
    std::vector<HostRule> all;
    for (const char* text : texts) {
        const auto rule = HostRule::parse(text);
        EXPECT_TRUE(rule) << text;
        if (rule) all.push_back(*rule);
    }
    return HostRules(all);
}

bool allows(const HostRules& rules, const char* url) {
    try {
        rules.check_url(parse_http_url(url));
        return true;
    } catch (const HttpFailure& failure) {
        EXPECT_EQ(failure.error(), EACCES) << failure.what();
        return false;
    }
}

bool reaches(const HostRules& rules, const char* url, const char* where) {
    try {
        rules.check_address(parse_http_url(url), address(where).get());
        return true;
    } catch (const HttpFailure& failure) {
        EXPECT_EQ(failure.error(), EACCES) << failure.what();
        return false;
    }
}

TEST(HostRules, WithoutRulesNothingIsAllowed) {
    EXPECT_FALSE(allows(HostRules(), "http://example.com/"));
    EXPECT_FALSE(allows(HostRules(), "http://127.0.0.1/"));
    EXPECT_FALSE(reaches(HostRules(), "http://example.com/", "93.184.216.34"));
}

TEST(HostRules, Names) {
    const HostRules one = rules({"Example.com"});
    EXPECT_TRUE(allows(one, "http://example.com/"));
    EXPECT_TRUE(allows(one, "https://EXAMPLE.COM/x"));
    EXPECT_TRUE(allows(one, "http://example.com./"));
    EXPECT_TRUE(allows(one, "http://example.com:443/"));
    EXPECT_FALSE(allows(one, "http://example.com:8080/"));
    EXPECT_FALSE(allows(one, "http://www.example.com/"));
    EXPECT_FALSE(allows(one, "http://example.com.evil.example/"));
    EXPECT_FALSE(allows(one, "http://notexample.com/"));
    EXPECT_FALSE(allows(one, "http://example.com@evil.example/"));
    EXPECT_FALSE(allows(one, "http://user@example.com/"));
    EXPECT_FALSE(allows(one, "http://evil.example/?example.com"));
    EXPECT_FALSE(allows(one, "http://evil.example/#@example.com"));
    EXPECT_FALSE(allows(one, "http://evil.example\\@example.com.evil.example/"));
}

TEST(HostRules, Domains) {
    const HostRules all = rules({"*.example.com", "*.a:81"});
    EXPECT_TRUE(allows(all, "http://www.example.com/"));
    EXPECT_TRUE(allows(all, "http://a.b.example.com/"));
    EXPECT_TRUE(allows(all, "http://x.a:81/"));
    EXPECT_FALSE(allows(all, "http://x.a/"));
    EXPECT_FALSE(allows(all, "http://example.com/"));
    EXPECT_FALSE(allows(all, "http://wwwexample.com/"));
    EXPECT_FALSE(allows(all, "http://www.example.com.evil.example/"));
}

TEST(HostRules, Ports) {
    const HostRules all = rules({"a:8080", "*:90", "[2001:DB8:0::1]:91", "192.0.2.1:92"});
    EXPECT_TRUE(allows(all, "http://a:8080/"));
    EXPECT_FALSE(allows(all, "http://a/"));
    EXPECT_TRUE(allows(all, "http://anything.example:90/"));
    EXPECT_FALSE(allows(all, "http://anything.example/"));
    EXPECT_TRUE(allows(all, "http://[2001:db8::1]:91/"));
    EXPECT_TRUE(allows(all, "http://192.0.2.1:92/"));
    EXPECT_FALSE(allows(all, "http://192.0.2.1/"));
}

TEST(HostRules, WhatIsNoRule) {
    for (const char* text : {"",     ".",    "*.",     "*.*", "**",  "a*",      "*a",      "http://a",
                             "a/b",  "a b",  "a:",     "a:0", "a:x", "a:65536", "a:80:80", ":80",
                             "::1",  "[::1", "::1]",   "[]",  "[a]", "[::1]x",  "[::1]:x", "[127.0.0.1]",
                             "a..b", ".a",   "user@a", "a?b", "a#b", "*.a..b",  "*:*"}) {
        EXPECT_FALSE(HostRule::parse(text)) << text;
    }
    EXPECT_FALSE(HostRule::parse("ex\xC3\xA4mple.com"));
    EXPECT_FALSE(HostRule::parse(std::string(300, 'a')));
}

TEST(HostRules, NamesLeadToPublicAddressesOnly) {
    const HostRules any = rules({"*"});
    EXPECT_TRUE(reaches(any, "http://a/", "93.184.216.34"));
    EXPECT_TRUE(reaches(any, "http://a/", "2606:2800:220:1::1"));
    for (const char* where : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "10.255.255.255",
                              "100.64.0.1",
                              "127.0.0.1",
                              "127.255.255.254",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.2.5",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "198.51.100.1",
                              "203.0.113.9",
                              "224.0.0.1",
                              "239.255.255.255",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::127.0.0.1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "::ffff:169.254.169.254",
                              "64:ff9b::7f00:1",
                              "64:ff9b::a00:1",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:db8::1",
                              "2002:7f00:1::1",
                              "2002:a00:1::1",
                              "3fff::1",
                              "fc00::1",
                              "fd00::1",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1",
                              "4000::1"}) {
        EXPECT_FALSE(is_public_address(address(where).get())) << where;
        EXPECT_FALSE(reaches(any, "http://a/", where)) << where;
    }
    for (const char* where :
         {"1.1.1.1",         "9.255.255.255",    "11.0.0.0",        "100.63.255.255",       "100.128.0.0",
          "126.255.255.255", "128.0.0.1",        "169.253.0.1",     "172.15.0.1",           "172.32.0.1",
          "192.0.1.1",       "192.167.0.1",      "198.17.0.1",      "198.20.0.1",           "223.255.255.255",
          "::ffff:8.8.8.8",  "64:ff9b::808:808", "2002:808:808::1", "2001:4860:4860::8888", "2600::1"}) {
        EXPECT_TRUE(is_public_address(address(where).get())) << where;
    }
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    EXPECT_FALSE(is_public_address(reinterpret_cast<const sockaddr&>(local)));
    EXPECT_THROW(any.check_address(parse_http_url("http://a/"), reinterpret_cast<const sockaddr&>(local)), HttpFailure);
}

TEST(HostRules, RulesThatSaySoLeadElsewhere) {
    const HostRules said = rules({"10.1.2.3", "[::1]:80", "localhost", "rebound.example"});
    EXPECT_TRUE(reaches(said, "http://10.1.2.3/", "10.1.2.3"));
    EXPECT_FALSE(reaches(said, "http://10.1.2.3/", "10.1.2.4"));
    EXPECT_TRUE(reaches(said, "http://[::1]/", "::1"));
    EXPECT_FALSE(reaches(said, "http://[::1]:443/", "::1"));
    EXPECT_TRUE(reaches(said, "http://localhost/", "127.0.0.1"));
    EXPECT_TRUE(reaches(said, "http://localhost/", "::1"));
    EXPECT_FALSE(reaches(said, "http://localhost/", "10.1.2.3"));
    EXPECT_FALSE(reaches(said, "http://rebound.example/", "10.1.2.3"));
    EXPECT_FALSE(reaches(said, "http://rebound.example/", "127.0.0.1"));

    HostRule inner = *HostRule::parse("*.inner.example");
    inner.allows_private = true;
    inner.may_ignore_name = true;
    const HostRules with_private({*HostRule::parse("*"), inner});
    EXPECT_TRUE(reaches(with_private, "http://a.inner.example/", "10.0.0.1"));
    EXPECT_TRUE(reaches(with_private, "http://a.inner.example/", "127.0.0.1"));
    EXPECT_FALSE(reaches(with_private, "http://a.example/", "10.0.0.1"));
    EXPECT_TRUE(with_private.may_ignore_name(parse_http_url("https://a.inner.example/")));
    EXPECT_FALSE(with_private.may_ignore_name(parse_http_url("https://a.example/")));
}

}  // namespace
}  // namespace tinykvm::host
