// Text that messages quote: one line of valid UTF-8 without anything that does not print.
#include "tinykvm/printable.hpp"

#include <gtest/gtest.h>

#include <random>

namespace tinykvm {
namespace {

TEST(Printable, WhatPrintsStays) {
    EXPECT_EQ(printable(""), "");
    EXPECT_EQ(printable("a b ~"), "a b ~");
    EXPECT_EQ(printable("h\u00E4llo \u4E16\u754C \U0001F600"), "h\u00E4llo \u4E16\u754C \U0001F600");
}

TEST(Printable, ControlCharactersAreWritten) {
    EXPECT_EQ(printable(std::string("\0\n\t\r\x1B[2J\x7F", 9)), "\\x00\\n\\t\\x0D\\x1B[2J\\x7F");
    EXPECT_EQ(printable("\u0085\u009B31m"), "\\xC2\\x85\\xC2\\x9B31m");          // of eight bits, as UTF-8
    EXPECT_EQ(printable("a\u2028b\u2029"), "a\\xE2\\x80\\xA8b\\xE2\\x80\\xA9");  // separators of lines
    EXPECT_EQ(printable("\u202Etxt.exe"), "\\xE2\\x80\\xAEtxt.exe");             // turns the direction
    EXPECT_EQ(printable("\uFEFF\u2066\u061C"), "\\xEF\\xBB\\xBF\\xE2\\x81\\xA6\\xD8\\x9C");
}

TEST(Printable, WhatIsNoUtf8IsWrittenByteByByte) {
    EXPECT_EQ(printable("\x9B"
                        "31m"),
              "\\x9B31m");  // a terminal's CSI in one byte
    EXPECT_EQ(printable("\x80\xBF\xFE\xFF"), "\\x80\\xBF\\xFE\\xFF");
    EXPECT_EQ(printable("\xC0\x80\xC1\xBF"), "\\xC0\\x80\\xC1\\xBF");  // too long
    EXPECT_EQ(printable("\xE0\x80\x8A"), "\\xE0\\x80\\x8A");
    EXPECT_EQ(printable("\xF0\x80\x80\x8A"), "\\xF0\\x80\\x80\\x8A");
    EXPECT_EQ(printable("\xED\xA0\x80"), "\\xED\\xA0\\x80");           // a surrogate
    EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80");  // above U+10FFFF
    EXPECT_EQ(printable("\xE4\xB8"), "\\xE4\\xB8");                    // cut
    EXPECT_EQ(printable("\xC3(\xE4\xB8z"), "\\xC3(\\xE4\\xB8z");
}

TEST(Printable, IsCutBetweenCharacters) {
    EXPECT_EQ(printable("abc", 3), "abc");
    EXPECT_EQ(printable("abc", 2), "ab...");
    EXPECT_EQ(printable("abc", 0), "...");
    EXPECT_EQ(printable("a\u4E16", 3), "a...");
    EXPECT_EQ(printable("a\nb", 2), "a...");
    EXPECT_EQ(printable(std::string(5000, 'x')).size(), 1024U + 3);
}

TEST(Printable, LinesOfAMessageStay) {
    EXPECT_EQ(printable_lines("a\nb\x1B\n\nc"), "a\nb\\x1B\n\nc");
    EXPECT_EQ(printable_lines(std::string(5000, 'x')).size(), 5000U);
}

TEST(Printable, SaysTheSameWhenItIsAskedAgain) {
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (unsigned size = random() % 20; text.size() < size;) text += static_cast<char>(random());
        const std::string once = printable(text);
        EXPECT_EQ(printable(once), once);
    }
}

}  // namespace
}  // namespace tinykvm
