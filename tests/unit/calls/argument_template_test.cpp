// Arguments of programs that hold parts of the request.
#include "src/calls/argument_template.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/config_error.hpp"

namespace tinykvm::host {
namespace {

using namespace std::string_literals;

constexpr std::array<std::string_view, 3> headers = {"Accept: image/webp", "X-Empty:", "x-twice: 1"};

Request request_of(std::string_view url) {
    Request request;
    request.method = "POST";
    request.url = url;
    request.argument = "an argument";
    request.content_type = "text/plain";
    request.headers = headers;
    return request;
}

std::string expanded(std::string_view text, std::string_view url = "/a/b?w=1&name=x%2Fy+z&w=2&%6e=n&flag") {
    return ArgumentTemplate(text).expand(request_of(url));
}

TEST(ArgumentTemplate, EachPlaceholderIsItsPartOfTheRequest) {
    EXPECT_EQ(expanded("{url}", "/p?q?r"), "/p?q?r");
    EXPECT_EQ(expanded("{path}", "/p?q?r"), "/p");
    EXPECT_EQ(expanded("{query}", "/p?q?r"), "q?r");
    EXPECT_EQ(expanded("{path}|{query}", "/p"), "/p|");
    EXPECT_EQ(expanded("{arg}|{method}|{content_type}"), "an argument|POST|text/plain");
    EXPECT_EQ(expanded("{header:accept}|{header:X-Empty}|{header:X-Twice}|{header:None}"), "image/webp||1|");
}

TEST(ArgumentTemplate, ParametersAreDecoded) {
    EXPECT_EQ(expanded("{query:w}"), "1") << "the first one";
    EXPECT_EQ(expanded("{query:name}"), "x/y z");
    EXPECT_EQ(expanded("{query:n}"), "n") << "names are decoded, too";
    EXPECT_EQ(expanded("{query:flag}|{query:none}"), "|");
    EXPECT_EQ(expanded("{query:a}", "/?a=%zz%4"), "%zz%4");
    EXPECT_EQ(expanded("{query:a}", "/?a=1%002"), "1\0002"s);
    EXPECT_EQ(expanded("{query:a}", "/?&&a=b=c&"), "b=c");
}

TEST(ArgumentTemplate, TextAroundPlaceholdersStays) {
    EXPECT_EQ(expanded("--size={query:w}x{query:w}!"), "--size=1x1!");
    EXPECT_TRUE(ArgumentTemplate("-{arg}").has_placeholder());
    EXPECT_FALSE(ArgumentTemplate("-").has_placeholder());
}

TEST(ArgumentTemplate, OtherBracesAreThemselves) {
    for (const char* text : {"", "{", "}", "{}", "{ url }", "{a: .b}", "{a:{b:1}}", "{url", "{Url}", "{1}", "{a:1}",
                             "{a:.b}", "{a: b}", "{print $1}", "{\"a\":b}", "{.a}", "${HOME"}) {
        EXPECT_EQ(expanded(text), text);
        EXPECT_FALSE(ArgumentTemplate(text).has_placeholder()) << text;
    }
    EXPECT_EQ(expanded("{{url}"), "{url}");
    EXPECT_EQ(expanded("{{name}"), "{name}");
    EXPECT_EQ(expanded("{{print}; {{first:second}}"), "{print}; {first:second}}");
    EXPECT_EQ(expanded("{{ url }"), "{{ url }");
}

TEST(ArgumentTemplate, WhatIsNoPlaceholderIsNamed) {
    for (const auto& [text, name] : {std::pair{"{width}", "{width}"},
                                     {"x{query:}", "{query:}"},
                                     {"{header:}", "{header:}"},
                                     {"{ulr}", "{ulr}"},
                                     {"{qurey:width}", "{qurey:width}"},
                                     {"{ url} {print}", "{print}"}}) {
        try {
            const ArgumentTemplate refused(text);
            FAIL() << text;
        } catch (const ConfigError& error) {
            EXPECT_NE(std::string(error.what()).find("there is no placeholder "s + name), std::string::npos)
                << error.what();
        }
    }
}

}  // namespace
}  // namespace tinykvm::host
