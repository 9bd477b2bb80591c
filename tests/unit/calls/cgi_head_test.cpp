// The header block of CGI programs.
#include "src/calls/cgi_head.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "src/base/failure.hpp"
#include "src/base/http_field.hpp"

namespace tinykvm::host {
namespace {

using namespace std::string_literals;

CgiAnswer answer(std::string_view output, int status = 200, const std::string& content_type = "") {
    return read_cgi_answer(std::as_bytes(std::span(output)), status, content_type);
}

// Why it is refused.
std::string refusal(std::string_view output) {
    try {
        (void)answer(output);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind(), FailureKind::invalid_answer);
        return failure.what();
    }
    return "it was taken";
}

TEST(CgiHead, ADocument) {
    for (const std::string end : {"\n", "\r\n"}) {
        const std::string head = "Content-type: text/plain" + end + "X-One: 1" + end + "Set-Cookie: a=1" + end +
                                 "Set-Cookie: b=2" + end + "Content-Length: 900" + end + "Connection: close" + end +
                                 end;
        const CgiAnswer found = answer(head + "the\n\nbody");
        EXPECT_EQ(found.head_size, head.size());
        EXPECT_EQ(found.response.status, 200);
        EXPECT_EQ(found.response.content_type, "text/plain");
        EXPECT_EQ(found.response.body_size, 9U);
        EXPECT_EQ(found.response.headers, (std::vector{"X-One: 1"s, "Set-Cookie: a=1"s, "Set-Cookie: b=2"s}));
    }
}

TEST(CgiHead, Statuses) {
    EXPECT_EQ(answer("Status: 404 Not Found\nContent-Type: a/b\n\n").response.status, 404);
    EXPECT_EQ(answer("Status: 204\n\n").response.status, 204);
    EXPECT_EQ(answer("Content-Type: a/b\n\n", 422).response.status, 422) << "of the exit status";
    EXPECT_EQ(answer("Content-Type: a/b\nStatus: 201\n\n", 422).response.status, 201);
}

TEST(CgiHead, Redirects) {
    CgiAnswer found = answer("Location: https://example.com/\n\n");
    EXPECT_EQ(found.response.status, 302);
    EXPECT_EQ(found.response.headers, std::vector{"Location: https://example.com/"s});
    EXPECT_EQ(answer("Location: /here\n\n").response.status, 302) << "the client follows a local one, too";
    EXPECT_EQ(answer("Location: /here\nStatus: 301\n\n").response.status, 301);
}

TEST(CgiHead, ABodyWithoutAType) {
    EXPECT_EQ(answer("Status: 200\n\nbody", 200, "image/png").response.content_type, "image/png");
    EXPECT_EQ(answer("Status: 200\n\n", 200, "image/png").response.content_type, "");
    EXPECT_NE(refusal("Status: 200\n\nbody").find("no Content-Type"), std::string::npos);
}

TEST(CgiHead, WhatIsMalformedIsNamed) {
    const std::string long_line = "X: " + std::string(max_field_bytes, 'x');
    std::string many = "Content-Type: a/b\n";
    for (std::size_t i = 0; i < max_fields; i++) {
        many += "X: 1\n";
    }
    const std::pair<std::string, const char*> cases[] = {
        {"", "no end"},
        {"\nbody", "is empty"},
        {"Content-Type: a/b\n", "no end"},
        {"Content-Type: a/b\nX-One: 1", "no end"},
        {"Hello\n\n", "no colon"},
        {"Content-Type: a/b\n folded\n\n", "no colon"},
        {"Bad Name: 1\n\n", "not a token"},
        {": 1\n\n", "not a token"},
        {"X: a\rb\n\n", "control character"},
        {"X: a\0b\n\n"s, "control character"},
        {"X-One: 1\n\n", "none of Content-Type"},
        {"Status: 200\nStatus: 404\n\n", "two fields Status"},
        {"Content-Type: a/b\ncontent-type: a/b\n\n", "two fields content-type"},
        {"Status:\n\n", "empty Status"},
        {"Status: 99\n\n", "none from 200"},
        {"Status: 100\n\n", "none from 200"},
        {"Status: 600\n\n", "none from 200"},
        {"Status: 2000\n\n", "none from 200"},
        {"Status: OK\n\n", "none from 200"},
        {long_line + "\n\n", "more than 8192 bytes"},
        {long_line, "more than 8192 bytes"},
        {many + "\n", "more than 64 fields"},
    };
    for (const auto& [output, why] : cases) {
        EXPECT_NE(refusal(output).find(why), std::string::npos) << output.substr(0, 80) << ": " << refusal(output);
    }
}

}  // namespace
}  // namespace tinykvm::host
