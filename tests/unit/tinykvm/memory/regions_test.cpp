#include "tinykvm/memory/regions.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tinykvm {
namespace {

constexpr Protection rw{.read = true, .write = true}, ro{.read = true};
constexpr GuestAddr page(int n) { return GuestAddr(n) * page_size; }

TEST(Regions, NeighboursThatAreAlikeBecomeOne) {
    Regions regions;
    regions.insert({page(1), page(2), rw, ""});
    regions.insert({page(3), page(4), rw, ""});
    regions.insert({page(2), page(3), rw, ""});
    EXPECT_EQ(regions.size(), 1u);
    EXPECT_TRUE(regions.covered(page(1), page(4)));
}

TEST(Regions, ProtectingTheMiddleSplitsAndProtectingBackMerges) {
    Regions regions;
    regions.insert({page(0), page(10), rw, "x"});
    regions.protect(page(3), page(5), ro);
    EXPECT_EQ(regions.size(), 3u);
    EXPECT_EQ(regions.find(page(4))->protection, ro);
    EXPECT_EQ(regions.find(page(5))->protection, rw);
    regions.protect(page(3), page(5), rw);
    EXPECT_EQ(regions.size(), 1u);
}

TEST(Regions, FreeRangeIsTheHighestThatFitsBelowTheLimit) {
    Regions regions;
    regions.insert({page(90), page(100), rw, ""});
    regions.insert({page(50), page(60), rw, ""});
    EXPECT_EQ(regions.find_free(page(10), page(1), page(100)), page(80));
    EXPECT_EQ(regions.find_free(page(31), page(1), page(100)), page(19));
    EXPECT_EQ(regions.find_free(page(60), page(1), page(100)), std::nullopt);
    EXPECT_EQ(regions.find_free(page(4), page(1), page(90), page(8)), page(80));
}

TEST(Regions, FreeRangeOfAnAbsurdSizeIsRefused) {
    Regions regions;
    EXPECT_EQ(regions.find_free(~std::size_t{0} & ~(page_size - 1), page(1), page(100)), std::nullopt);
    EXPECT_EQ(regions.find_free(0, page(1), page(100)), std::nullopt);
}

// Random operations against the simplest model there is: one entry a page.
TEST(Regions, AgreesWithAModelPagePerPage) {
    std::mt19937 random(1);
    for (int round = 0; round < 50; ++round) {
        Regions regions;
        std::map<int, bool> model;  // page -> writable
        for (int step = 0; step < 300; ++step) {
            int a = static_cast<int>(random() % 64), b = a + 1 + static_cast<int>(random() % 16);
            switch (random() % 3) {
                case 0: {
                    bool writable = random() % 2;
                    regions.insert({page(a), page(b), writable ? rw : ro, ""});
                    for (int p = a; p < b; ++p) model[p] = writable;
                    break;
                }
                case 1:
                    regions.erase(page(a), page(b));
                    for (int p = a; p < b; ++p) model.erase(p);
                    break;
                default: {
                    bool covered = true;
                    for (int p = a; p < b; ++p) covered = covered && model.count(p);
                    ASSERT_EQ(regions.covered(page(a), page(b)), covered);
                    if (!covered) break;
                    regions.protect(page(a), page(b), ro);
                    for (int p = a; p < b; ++p) model[p] = false;
                }
            }
            for (int p = 0; p < 90; ++p) {
                const Region* region = regions.find(page(p) + 5);
                ASSERT_EQ(region != nullptr, model.count(p) == 1) << p;
                if (region) {
                    ASSERT_EQ(region->protection.write, model[p]) << p;
                }
            }
            GuestAddr last_end = 0;
            for (const auto& [begin, region] : regions) {
                ASSERT_EQ(begin, region.begin);
                ASSERT_LT(region.begin, region.end);
                ASSERT_LE(last_end, region.begin);
                last_end = region.end;
            }
        }
    }
}

}  // namespace
}  // namespace tinykvm
