// The list of changed mappings, without any VM.
#include "tinykvm/memory/remapped_ranges.hpp"

#include <gtest/gtest.h>

#include "tinykvm/memory/ranges.hpp"

namespace tinykvm {
namespace {

constexpr GuestAddr page = page_size;

TEST(RemappedRanges, AreJoinedInOrder) {
    RemappedRanges ranges;
    ranges.add(8 * page, 9 * page);
    ranges.add(9 * page, 10 * page);  // goes on where the last one ended
    ranges.add(page, 3 * page);
    ranges.add(2 * page, 4 * page);
    EXPECT_EQ(ranges.joined(), (std::vector<GuestRange>{{page, 4 * page}, {8 * page, 10 * page}}));
    ranges.clear();
    EXPECT_TRUE(ranges.joined().empty());
}

TEST(RemappedRanges, AListOfTheSameAddressesStaysShort) {
    RemappedRanges ranges;
    for (int i = 0; i < 100'000; ++i) ranges.add((i % 20) * 2 * page, ((i % 20) * 2 + 1) * page);
    EXPECT_FALSE(ranges.are_too_many());
    EXPECT_EQ(ranges.joined().size(), 20u);
}

TEST(RemappedRanges, TooManyIsTheSameNumberForEachRequest) {
    RemappedRanges ranges;
    for (int request = 0; request < 2; ++request) {
        std::size_t added = 0;
        while (!ranges.are_too_many()) {
            ASSERT_LT(added, 10'000u);
            ranges.add(2 * added * page, (2 * added + 1) * page);
            ++added;
        }
        EXPECT_EQ(added, 512u);
        EXPECT_EQ(ranges.joined().size(), added);
        ranges.clear();
        EXPECT_FALSE(ranges.are_too_many());
    }
}

TEST(JoinRanges, AsksOfEachAndTheNext) {
    std::vector<GuestRange> ranges{{10, 12}, {0, 5}, {6, 8}, {1, 2}};
    join_ranges(ranges, [](const GuestRange& a, const GuestRange& b) { return b.begin <= a.end + 1; });
    EXPECT_EQ(ranges, (std::vector<GuestRange>{{0, 8}, {10, 12}}));
}

}  // namespace
}  // namespace tinykvm
