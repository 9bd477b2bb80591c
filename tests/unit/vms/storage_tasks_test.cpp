#include "src/vms/storage_tasks.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace tinykvm::host {
namespace {

using std::chrono::milliseconds;

const Clock::time_point begin{};

StorageTask task(GuestAddr function, int delay, int period = 0, std::size_t size = 0) {
    return {function, StorageBytes(size), milliseconds(delay), milliseconds(period)};
}

GuestAddr taken(StorageTasks& tasks, int at) {
    const auto due = tasks.take_due(begin + milliseconds(at));
    return due ? due->function : 0;
}

TEST(StorageTasks, AreTakenWhenTheyAreDueAndInThatOrder) {
    StorageTasks tasks;
    EXPECT_FALSE(tasks.next());
    tasks.add(task(1, 20), begin);
    tasks.add(task(2, 10), begin);
    EXPECT_EQ(tasks.next(), begin + milliseconds(10));
    EXPECT_EQ(taken(tasks, 9), 0);
    EXPECT_EQ(tasks.count_due(begin + milliseconds(20)), 2);
    EXPECT_EQ(taken(tasks, 30), 2);
    EXPECT_EQ(taken(tasks, 30), 1);
    EXPECT_EQ(taken(tasks, 30), 0);
    EXPECT_EQ(tasks.size(), 0);
}

TEST(StorageTasks, OfThoseThatAreDueAtOnceTheOlderIsFirst) {
    StorageTasks tasks;
    tasks.add(task(1, 0), begin);
    tasks.add(task(2, 0), begin);
    EXPECT_EQ(taken(tasks, 0), 1);
    EXPECT_EQ(taken(tasks, 0), 2);
}

TEST(StorageTasks, APeriodicOneStaysAndRunsOnceForAllTheTimesItHasMissed) {
    StorageTasks tasks;
    const long number = tasks.add(task(1, 5, 10), begin);
    EXPECT_EQ(taken(tasks, 5), 1);
    EXPECT_EQ(taken(tasks, 14), 0);
    EXPECT_EQ(taken(tasks, 95), 1);
    EXPECT_EQ(taken(tasks, 104), 0);
    EXPECT_EQ(taken(tasks, 105), 1);
    EXPECT_TRUE(tasks.remove(number));
    EXPECT_FALSE(tasks.remove(number));
    EXPECT_FALSE(tasks.next());
}

TEST(StorageTasks, ThereAreNotMoreThanAThousandOrSixteenMebibytes) {
    StorageTasks many;
    for (int i = 0; i < 1024; i++) {
        ASSERT_GT(many.add(task(1, 1), begin), 0);
    }
    EXPECT_EQ(many.add(task(1, 1), begin), -EAGAIN);
    StorageTasks large;
    for (int i = 0; i < 16; i++) {
        ASSERT_GT(large.add(task(1, 1, 0, std::size_t{1} << 20), begin), 0);
    }
    EXPECT_EQ(large.add(task(1, 1, 0, 1), begin), -EAGAIN);
    EXPECT_EQ(taken(large, 1), 1);
    EXPECT_GT(large.add(task(1, 1, 0, 1), begin), 0);
}

}  // namespace
}  // namespace tinykvm::host
