// The time a guest may run for its request. A value: this needs no KVM.
#include "src/vms/time_budget.hpp"

#include <gtest/gtest.h>

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

TEST(TimeBudgetTest, CountsOnlyWhatIsSpent) {
    TimeBudget time(100ms);
    const Clock::time_point begin = Clock::now();
    EXPECT_EQ(time.spent(), 0us);
    EXPECT_EQ(time.deadline(begin), begin + 100ms);
    time.spend(30ms);
    time.spend(1500ns);  // in whole microseconds
    EXPECT_EQ(time.spent(), 30001us);
    EXPECT_EQ(time.deadline(begin), begin + 69999us);
    EXPECT_EQ(time.deadline(begin + 1h), begin + 1h + 69999us);
}

TEST(TimeBudgetTest, MayBeOverdrawn) {
    TimeBudget time(1ms);
    time.spend(3ms);
    EXPECT_EQ(time.spent(), 3ms);
    const Clock::time_point now = Clock::now();
    EXPECT_LT(time.deadline(now), now);
}

}  // namespace
}  // namespace tinykvm::host
