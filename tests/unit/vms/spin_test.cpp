// How long a VM waits inside its guest, and which threads may spin. Values: this needs no KVM.
#include "src/vms/spin.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

Poll automatic() {
    Poll poll;
    poll.automatic = true;
    return poll;
}

// A request comes after such a gap.
void wait(SpinTime& time, std::chrono::microseconds gap) {
    const Clock::time_point now = Clock::now();
    time.became_idle(now);
    time.request_came(now + gap);
}

TEST(SpinTimeTest, StaysAsConfigured) {
    Poll poll;
    poll.automatic = false;
    poll.time = 50us;
    SpinTime time(poll);
    EXPECT_EQ(time.get(), 50us);
    wait(time, 1us);
    EXPECT_EQ(time.get(), 50us);
    wait(time, 1s);
    EXPECT_EQ(time.get(), 50us);
}

TEST(SpinTimeTest, FollowsTheGapsBetweenRequests) {
    SpinTime time(automatic());
    EXPECT_EQ(time.get(), 0us);
    wait(time, 30us);
    EXPECT_EQ(time.get(), 60us);
    wait(time, 1us);
    EXPECT_EQ(time.get(), 20us);
    wait(time, 150us);
    EXPECT_EQ(time.get(), 200us);
    wait(time, 200us);
    EXPECT_EQ(time.get(), 200us);
    wait(time, 201us);  // requests are too rare for it
    EXPECT_EQ(time.get(), 0us);
}

TEST(SpinPermitTest, HalfOfTheCpusAtMost) {
    const unsigned cpus = std::thread::hardware_concurrency();
    std::vector<std::unique_ptr<SpinPermit>> permits;
    unsigned spinning = 0;
    for (unsigned i = 0; i < cpus + 1; i++) {
        permits.push_back(std::make_unique<SpinPermit>());
        spinning += permits.back()->obtain();
    }
    EXPECT_EQ(spinning, cpus / 2);
    if (spinning != 0) {
        EXPECT_TRUE(permits.front()->obtain());  // it has it
        permits.front()->give_back();
        permits.front()->give_back();
        EXPECT_TRUE(permits.back()->obtain());
        EXPECT_FALSE(permits.front()->obtain());
    }
    permits.clear();
    EXPECT_EQ(SpinPermit().obtain(), cpus / 2 != 0);
}

TEST(SpinPermitTest, NoCpuIsTakenFromARequest) {
    SpinPermit permit;
    std::vector<std::unique_ptr<ServedRequest>> served;
    for (unsigned i = 0; i < std::thread::hardware_concurrency(); i++) {
        served.push_back(std::make_unique<ServedRequest>());
    }
    EXPECT_FALSE(permit.obtain());
    served.pop_back();
    EXPECT_EQ(permit.obtain(), std::thread::hardware_concurrency() >= 2);
}

}  // namespace
}  // namespace tinykvm::host
