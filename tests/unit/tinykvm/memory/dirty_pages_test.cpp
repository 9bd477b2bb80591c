// The set of changed pages, without any VM.
#include "tinykvm/memory/dirty_pages.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace tinykvm {
namespace {

std::vector<std::uint64_t> all(const DirtyPages& pages) {
    std::vector<std::uint64_t> list;
    pages.for_each([&](std::uint64_t page) { list.push_back(page); });
    return list;
}

TEST(DirtyPages, CountsEachPageOnce) {
    DirtyPages pages;
    EXPECT_EQ(pages.size(), 0u);
    EXPECT_FALSE(pages.contains(1'000'000'000));
    for (std::uint64_t page : {7, 7, 64, 63, 5000}) pages.add(page);
    EXPECT_EQ(pages.size(), 4u);
    EXPECT_EQ(all(pages), (std::vector<std::uint64_t>{7, 63, 64, 5000}));
    pages.remove(64);
    pages.remove(64);
    pages.remove(65);
    EXPECT_EQ(pages.size(), 3u);
    EXPECT_FALSE(pages.contains(64));
}

TEST(DirtyPages, RangesEndWhereTheySay) {
    DirtyPages pages;
    for (std::uint64_t page = 0; page < 300; ++page) pages.add(page);
    EXPECT_EQ(pages.missing(290, 310), 10u);
    EXPECT_TRUE(pages.contains_any(299, 400));
    EXPECT_FALSE(pages.contains_any(300, 400));
    EXPECT_FALSE(pages.contains_any(5, 5));
    pages.remove(60, 200);
    EXPECT_EQ(pages.size(), 160u);
    EXPECT_TRUE(pages.contains(59) && pages.contains(200));
    EXPECT_FALSE(pages.contains_any(60, 200));
    std::size_t seen = 0;
    pages.for_each(50, 210, [&](std::uint64_t page) {
        EXPECT_TRUE(page < 60 || page >= 200) << page;
        ++seen;
    });
    EXPECT_EQ(seen, 20u);
    pages.remove(0, std::uint64_t{1} << 60);  // far beyond what was ever added
    EXPECT_EQ(pages.size(), 0u);
}

TEST(DirtyPages, AgreesWithAPlainSet) {
    std::mt19937 random(1);
    DirtyPages pages;
    std::set<std::uint64_t> expected;
    for (int step = 0; step < 20'000; ++step) {
        const std::uint64_t page = random() % 1000, count = random() % 150;
        if (random() % 8) {
            pages.add(page);
            expected.insert(page);
        } else {
            pages.remove(page, page + count);
            expected.erase(expected.lower_bound(page), expected.lower_bound(page + count));
        }
        ASSERT_EQ(pages.size(), expected.size());
    }
    EXPECT_EQ(all(pages), std::vector<std::uint64_t>(expected.begin(), expected.end()));
}

}  // namespace
}  // namespace tinykvm
