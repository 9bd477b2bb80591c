// Timers across the freeze: they stand still until a request begins, interrupt it when it computes, and are reset.
#include <thread>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/polled_fork.hpp"
#include "tinykvm/linux/timer.hpp"

namespace tinykvm {
namespace {

using linux_abi::Timer;

TEST(TimerTest, ExpiresOnceOrAtIntervals) {
    Timer once;
    EXPECT_FALSE(once.is_armed());
    EXPECT_EQ(once.left(5), 0u);
    once.arm(100, 50, 0);
    EXPECT_EQ(once.left(100), 50u);
    EXPECT_EQ(once.expire(149), 0u);
    EXPECT_EQ(once.expire(150), 1u);
    EXPECT_FALSE(once.is_armed());

    Timer often;
    often.arm(100, 50, 10);
    EXPECT_EQ(often.expire(185), 4u);
    EXPECT_EQ(often.left(185), 5u);
    EXPECT_EQ(often.left(1000), 1u) << "0 would mean that it is not armed";

    Timer longest;
    longest.arm(~std::uint64_t{0} / 2, ~std::uint64_t{0}, ~std::uint64_t{0});
    EXPECT_EQ(longest.expire(linux_abi::longest_time - 1), 0u);
    EXPECT_EQ(longest.expire(linux_abi::longest_time), 1u);
    EXPECT_TRUE(longest.is_armed());
}

TEST(TimerTest, StandsStillWhileTheProcessIsFrozen) {
    Timer relative;
    relative.arm(100, 50, 10);
    relative.thaw(120, 1'000'000);
    EXPECT_EQ(relative.left(1'000'000), 30u);

    Timer absolute{.absolute = true, .next = 150, .interval = 10};
    absolute.thaw(120, 1'000'000);
    EXPECT_EQ(absolute.expire(1'000'000), 1u) << "once, late, and not 100,000 times";

    Timer processor{.of_processor = true, .next = 150};
    processor.thaw(120, 1'000'000);
    EXPECT_EQ(processor.next, 150u);
    Timer none;
    none.thaw(120, 1'000'000);
    EXPECT_FALSE(none.is_armed());
}

class TimersTest : public testing::Test {
  protected:
    test::BootedGuest guest{"timers"};
};

TEST_F(TimersTest, InterruptRequestsThatCompute) {
    Fork fork(guest.snapshot);
    for (int request = 0; request < 3; ++request) {
        EXPECT_EQ(guest.call(fork, "alarms_now"), 0u);
        EXPECT_EQ(guest.call(fork, "compute"), 1u);
        EXPECT_GE(guest.call(fork, "compute_until_tick"), 1u);
        fork.reset();
    }
}

TEST_F(TimersTest, GoOnWhereTheyStoodWhenTheProgramWasFrozen) {
    Fork early(guest.snapshot);
    const std::uint64_t left = guest.call(early, "left_of_hour");
    EXPECT_GT(left, 3000u);
    std::this_thread::sleep_for(std::chrono::seconds(2));
    Fork late(guest.snapshot);
    EXPECT_GE(guest.call(late, "left_of_hour") + 1, left);
    early.reset();
    EXPECT_GE(guest.call(early, "left_of_hour") + 1, left);
    // The file's timer expires each millisecond from a moment before the freeze on.
    Fork another(guest.snapshot);
    EXPECT_LT(guest.call(another, "expirations"), 1500u) << "one for each millisecond of the 2 s would be 2000";
}

TEST_F(TimersTest, InterruptRequestsOfForksThatWaitInside) {
    test::PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("compute", {}));
    polled.listen();
    polled.join();
    EXPECT_TRUE(guest.calls.answered) << polled.error;
    EXPECT_EQ(guest.calls.answer, 1u);
}

}  // namespace
}  // namespace tinykvm
