#include "src/base/http_date.hpp"

#include <gtest/gtest.h>

namespace tinykvm::host {
namespace {

TEST(HttpDateTest, GoesThereAndBack) {
    for (const std::time_t time : {std::time_t{0}, std::time_t{784111777}, std::time_t{1709210096},  // a leap day
                                   std::time_t{1796021276}, std::time_t{4102444799}}) {
        EXPECT_EQ(parse_http_date(format_http_date(time)), time);
    }
    EXPECT_EQ(format_http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
}

TEST(HttpDateTest, WhatIsNoDateIsNone) {
    for (const char* text :
         {"", "now", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37",
          "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Abc 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, -6 Nov 1994 08:49:37 GMT"}) {
        EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace tinykvm::host
