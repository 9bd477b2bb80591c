// Header fields from guests: nothing in them may break the framing of a message.
#include "src/base/http_field.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

namespace tinykvm::host {
namespace {

bool accepted(std::string_view line) {
    std::string why;
    return parse_field(line, why).has_value();
}

TEST(Field, EveryControlCharacterIsRefused) {
    for (int c = 0; c < 256; c++) {
        const bool harmless = c == '\t' || (c >= 0x20 && c != 0x7F);
        const std::string in_value = std::string("X-A: b") + static_cast<char>(c) + "c";
        EXPECT_EQ(accepted(in_value), harmless) << c;
        const bool token =
            std::isalnum(c) != 0 ||
            (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos);
        const std::string in_name = std::string("X") + static_cast<char>(c) + "A: b";
        EXPECT_EQ(accepted(in_name), (token && c < 128) || c == ':') << c;
    }
}

TEST(Field, PartsAreTakenApart) {
    std::string why;
    const auto parts = parse_field("X-A:  \t a: b \t", why);
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->name, "X-A");
    EXPECT_EQ(parts->value, "a: b");
    EXPECT_EQ(parse_field("X-A:", why)->value, "");
    EXPECT_EQ(parse_field("X-A: \t ", why)->value, "");
    EXPECT_FALSE(accepted(""));
    EXPECT_FALSE(accepted(":"));
    EXPECT_FALSE(accepted(": x"));
    EXPECT_FALSE(accepted("no colon"));
    EXPECT_FALSE(accepted("X-A : b"));
    EXPECT_FALSE(accepted(" X-A: b"));
    EXPECT_FALSE(accepted("X-A: b\r\n folded"));
    EXPECT_FALSE(accepted(std::string(127, 'x') + ": b"));
    EXPECT_TRUE(accepted(std::string(126, 'x') + ": b"));
    EXPECT_FALSE(accepted("X: " + std::string(max_field_bytes, 'x')));
}

TEST(Field, FramingIsTheHosts) {
    for (const char* name : {"Content-Length", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive",
                             "Upgrade", "TE", "Trailer"}) {
        EXPECT_TRUE(is_framing_field(name)) << name;
    }
    EXPECT_FALSE(is_framing_field("Content-Lengt"));
    EXPECT_FALSE(is_framing_field("Content-Type"));
}

TEST(Field, RangesOfBytesMakeSense) {
    for (const char* good : {"bytes 0-0/1", "bytes 0-4/10", "Bytes 5-9/10", "bytes 0-4/*", "bytes */10",
                             "bytes 0-999999999999999998/999999999999999999"}) {
        EXPECT_TRUE(accepted(std::string("Content-Range: ") + good)) << good;
    }
    for (const char* bad : {"",
                            "bytes",
                            "bytes ",
                            "bytes */*",
                            "bytes */0",
                            "bytes */",
                            "bytes *",
                            "bytes 0-4",
                            "bytes 0-4/",
                            "bytes 0-4/4",
                            "bytes 4-0/10",
                            "bytes -4/10",
                            "bytes 0-/10",
                            "bytes 0-4/+9",
                            "bytes 0--4/10",
                            "bytes */-1",
                            "bytes  0-4/10",
                            "bytes=0-4/10",
                            "items 0-4/10",
                            "bytes 0-4/1000000000000000000",
                            "bytes 18446744073709551616-0/1"}) {
        EXPECT_FALSE(accepted(std::string("content-range:") + bad)) << bad;
    }
}

TEST(Field, NamesInVaryAreNames) {
    const std::string longest(126, 'x');
    EXPECT_TRUE(accepted("Vary: " + longest + ", " + longest + "," + longest + "\t" + longest));
    EXPECT_TRUE(accepted("Vary:*"));
    EXPECT_FALSE(accepted("Vary: " + longest + "x"));
    EXPECT_FALSE(accepted("vary: a, " + longest + "x, b"));
}

TEST(Field, AValueIsThatOfTheFirstFieldOfItsName) {
    constexpr std::string_view lines[] = {"Host", "X-A: 1", "host:  a ", "Host: b", "X-Empty:"};
    EXPECT_EQ(field_value(lines, "HOST"), "a");
    EXPECT_EQ(field_value(lines, "X-Empty"), "");
    EXPECT_EQ(field_value(lines, "X"), std::nullopt);
    EXPECT_EQ(field_value({}, "Host"), std::nullopt);
}

}  // namespace
}  // namespace tinykvm::host
