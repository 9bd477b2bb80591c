// Answers of HTTP servers, cut into pieces in every way.
#include "src/http/response_parser.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

#include "src/base/failure.hpp"

namespace tinykvm::host {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string body_of(const ResponseParser& parser) {
    return {reinterpret_cast<const char*>(parser.body().data()), parser.body().size()};
}

// In pieces of `size` bytes.
void put(ResponseParser& parser, std::string_view text, std::size_t size) {
    for (; !text.empty(); text.remove_prefix(std::min(size, text.size()))) {
        parser.put(bytes_of(text.substr(0, size)));
    }
}

std::string refusal(std::string_view text) {
    try {
        ResponseParser parser;
        parser.begin(ResponseParser::To::other);
        put(parser, text, text.size());
        parser.end();
    } catch (const Failure& failure) {
        return failure.what();
    }
    return {};
}

TEST(ResponseParserTest, AnswersAreTheSameHoweverTheyAreCut) {
    constexpr std::string_view text =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Some Words\r\nContent-Type: text/plain\r\nX-A: 1\r\nX-A: 2\r\n"
        "Connection: X-Hop\r\nConnection: X-Other\r\nX-Hop: no\r\nX-Other: no\r\nKeep-Alive: "
        "timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;name=value\r\nfirst\r\n7\r\n second\r\n0\r\nX-Trailer: yes\r\n\r\n";
    for (std::size_t size = 1; size <= text.size(); size++) {
        ResponseParser parser;
        parser.begin(ResponseParser::To::other);
        put(parser, text, size);
        ASSERT_TRUE(parser.is_done()) << size;
        EXPECT_EQ(parser.status(), 201);
        EXPECT_EQ(parser.content_type(), "text/plain");
        EXPECT_EQ(parser.take_fields(), (std::vector<std::string>{"X-A: 1", "X-A: 2"}));
        EXPECT_EQ(parser.body_size(), std::nullopt);
        EXPECT_EQ(body_of(parser), "first second");
        EXPECT_TRUE(parser.keeps_connection());
        EXPECT_FALSE(parser.has_rest());
    }
}

TEST(ResponseParserTest, BodyOfKnownLengthEndsThere) {
    ResponseParser parser;
    parser.begin(ResponseParser::To::other);
    put(parser, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", 1000);
    EXPECT_TRUE(parser.has_head());
    EXPECT_FALSE(parser.is_done());
    EXPECT_EQ(parser.body_size(), 4u);
    EXPECT_EQ(body_of(parser), "bo");
    parser.body().clear();  // as its owner takes it
    put(parser, "dyHTTP/1.1", 1000);
    EXPECT_TRUE(parser.is_done());
    EXPECT_EQ(body_of(parser), "dy");
    EXPECT_TRUE(parser.has_rest());
}

TEST(ResponseParserTest, BodyWithoutLengthEndsWithTheConnection) {
    ResponseParser parser;
    parser.begin(ResponseParser::To::other);
    put(parser, "HTTP/1.1 200 OK\r\n\r\nup to", 1000);
    EXPECT_FALSE(parser.is_done());
    put(parser, " the end", 1000);
    parser.end();
    EXPECT_TRUE(parser.is_done());
    EXPECT_EQ(body_of(parser), "up to the end");
    EXPECT_FALSE(parser.keeps_connection());
}

TEST(ResponseParserTest, AnswersWithoutABody) {
    for (const std::string_view status : {"204 No Content", "304 Not Modified"}) {
        ResponseParser parser;
        parser.begin(ResponseParser::To::other);
        put(parser, "HTTP/1.1 " + std::string(status) + "\r\nETag: \"a\"\r\n\r\n", 1000);
        EXPECT_TRUE(parser.is_done()) << status;
        EXPECT_EQ(parser.body_size(), 0u);
    }
    ResponseParser head;
    head.begin(ResponseParser::To::head);
    put(head, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 1000);
    EXPECT_TRUE(head.is_done());
    EXPECT_EQ(head.body_size(), 1000u);
    EXPECT_EQ(body_of(head), "");
}

TEST(ResponseParserTest, BeginForgetsTheAnswerBefore) {
    ResponseParser parser;
    parser.begin(ResponseParser::To::other);
    put(parser, "HTTP/1.1 200 OK\r\nX-Secret: 1\r\nContent-Type: a\r\nContent-Length: 10\r\n\r\nsecret", 1000);
    parser.begin(ResponseParser::To::other);
    EXPECT_FALSE(parser.has_begun());
    put(parser, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 7);
    EXPECT_TRUE(parser.is_done());
    EXPECT_EQ(parser.status(), 404);
    EXPECT_EQ(parser.content_type(), "");
    EXPECT_TRUE(parser.take_fields().empty());
    EXPECT_EQ(body_of(parser), "");
}

TEST(ResponseParserTest, WhatIsNoAnswerIsRefusedWithTheReason) {
    EXPECT_NE(refusal("This is not it\r\n\r\n").find("not one of HTTP/1.1"), std::string::npos);
    EXPECT_NE(refusal("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").find("protocol"), std::string::npos);
    EXPECT_NE(refusal("HTTP/1.1 777 Odd\r\n\r\n").find("status 777"), std::string::npos);
    EXPECT_NE(refusal("HTTP/1.1 000 None\r\n\r\n").find("status 0"), std::string::npos);
    EXPECT_NE(refusal("HTTP/1.1 099 Odd\r\n\r\n").find("status 99"), std::string::npos);
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntoolong\r\n"), "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nX: a\x01"
                      "b\r\nContent-Length: 0\r\n\r\n"),
              "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\n" + std::string(100000, 'x')), "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x') + "\r\nContent-Length: 0\r\n\r\n"), "");
    EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(1 << 20, 'x')), "");
    std::string many = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 100; i++) {
        many += "X-" + std::to_string(i) + ": a\r\n";
    }
    EXPECT_NE(refusal(many + "\r\n").find("header fields"), std::string::npos);
    EXPECT_EQ(refusal(""), "the server closed the connection without an answer");
    const std::string broken = "the server closed the connection in the middle of its answer";
    EXPECT_EQ(refusal("HTTP/1.1 200 OK\r\nConten"), broken);
    EXPECT_EQ(refusal("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour"), broken);
    EXPECT_EQ(refusal("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"), broken);
}

// A length that nobody can keep takes no memory.
TEST(ResponseParserTest, NothingIsReservedForALength) {
    ResponseParser parser;
    parser.begin(ResponseParser::To::other);
    put(parser, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\nx", 1000);
    EXPECT_EQ(parser.body_size(), 9000000000000000000u);
    EXPECT_LT(parser.body().capacity(), 1000u);
}

TEST(ResponseParserTest, AnyBytesAreAnAnswerOrARefusal) {
    std::mt19937 random(1);
    const std::string good =
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n";
    for (int round = 0; round < 20000; round++) {
        std::string text = good;
        for (unsigned i = random() % 4; i-- > 0;) {
            text[random() % text.size()] = static_cast<char>(random());
        }
        text.resize(random() % (text.size() + 1));
        try {
            ResponseParser parser;
            parser.begin(ResponseParser::To::other);
            put(parser, text, 1 + random() % 40);
            parser.end();
            EXPECT_LE(parser.body().size(), text.size());
        } catch (const Failure&) {
        }
    }
}

// After a 101 everything is the other protocol's, also what looks like HTTP.
TEST(ResponseParserTest, AnUpgradeHasTheRestOfTheConnectionForABody) {
    constexpr std::string_view rest = "HTTP/1.1 200 OK\r\n\r\n";
    const std::string text =
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: lines\r\nConnection: Upgrade, "
        "X-Hop\r\n"
        "X-Hop: no\r\nX-A: 1\r\n\r\n" +
        std::string(rest);
    for (std::size_t size = 1; size <= text.size(); size++) {
        ResponseParser parser;
        parser.begin(ResponseParser::To::upgrade);
        put(parser, text, size);
        ASSERT_TRUE(parser.has_head() && parser.is_upgraded()) << size;
        EXPECT_FALSE(parser.is_done());
        EXPECT_EQ(parser.status(), 101);
        EXPECT_EQ(parser.take_fields(), (std::vector<std::string>{"Upgrade: lines", "X-A: 1"}));
        EXPECT_EQ(parser.body_size(), std::nullopt);
        EXPECT_EQ(body_of(parser), rest);
        EXPECT_FALSE(parser.keeps_connection());
        parser.end();
        EXPECT_TRUE(parser.is_done());
    }
    ResponseParser parser;
    parser.begin(ResponseParser::To::upgrade);
    put(parser, "HTTP/1.1 426 No\r\nUpgrade: lines\r\nContent-Length: 2\r\n\r\nno", 1000);
    EXPECT_TRUE(parser.is_done() && !parser.is_upgraded());
    EXPECT_EQ(parser.status(), 426);
}

}  // namespace
}  // namespace tinykvm::host
