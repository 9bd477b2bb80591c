// Clients that are too slow with a body, in made-up time.
#include "src/vmod/body_pace.hpp"

#include <gtest/gtest.h>

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;
constexpr Clock::time_point begin{};

TEST(BodyPace, NobodyIsTooSlowForTenSeconds) {
    const BodyPace pace(begin);
    EXPECT_FALSE(pace.is_too_slow(begin));
    EXPECT_FALSE(pace.is_too_slow(begin + BodyPace::patience));
    EXPECT_TRUE(pace.is_too_slow(begin + BodyPace::patience + 1ms));
}

TEST(BodyPace, WhatHasComeCountsOnTheWhole) {
    BodyPace pace(begin);
    pace.arrived(20 * 1024, begin + 1s);
    pace.go_on(begin + 1s);
    EXPECT_FALSE(pace.is_too_slow(begin + 20s));
    EXPECT_TRUE(pace.is_too_slow(begin + 20s + 1ms));
    pace.arrived(1024, begin + 20s + 500ms);
    pace.go_on(begin + 20s + 500ms);
    EXPECT_FALSE(pace.is_too_slow(begin + 21s));
    EXPECT_TRUE(pace.is_too_slow(begin + 22s));
}

TEST(BodyPace, TimeOfTheGuestIsNotTheClients) {
    BodyPace pace(begin);
    pace.arrived(1, begin + 4s);
    EXPECT_FALSE(pace.is_too_slow(begin + 1h));
    pace.go_on(begin + 1h);
    EXPECT_FALSE(pace.is_too_slow(begin + 1h + 6s));
    EXPECT_TRUE(pace.is_too_slow(begin + 1h + 7s));
    pace.arrived(1, begin + 1h + 8s);
    EXPECT_TRUE(pace.is_too_slow(begin + 1h + 8s));
}

TEST(BodyPace, FailureSaysHowSlowItWas) {
    BodyPace pace(begin);
    pace.arrived(12, begin + 10250ms);
    const Failure failure = pace.failure(begin + 1h);
    EXPECT_EQ(failure.kind(), FailureKind::too_slow);
    EXPECT_FALSE(is_program_failure(failure.kind()));
    EXPECT_STREQ(failure.what(), "12 bytes of the body came in 10.2 s, fewer than 1024 a second");
}

}  // namespace
}  // namespace tinykvm::host
