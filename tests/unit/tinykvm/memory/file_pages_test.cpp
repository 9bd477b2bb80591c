// Which pages files have: against a model, and the order in which pages are given out.
#include "tinykvm/memory/file_pages.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tinykvm/memory/copy_on_write.hpp"

namespace tinykvm {
namespace {

TEST(FilePages, LowestFreePagesAreGivenOut) {
    FilePages pages;
    for (std::uint64_t page = 0; page < 200; ++page) EXPECT_EQ(pages.add(1, page), page);
    EXPECT_EQ(pages.next(1, 0), (FilePages::Run{0, 0, 200}));
    const auto removed = pages.remove(1, 10, 20);
    ASSERT_EQ(removed.size(), 1u);
    EXPECT_EQ(removed[0], (FilePages::Run{10, 10, 10}));
    EXPECT_EQ(pages.next(1, 5), (FilePages::Run{5, 5, 5}));
    EXPECT_EQ(pages.next(1, 10), (FilePages::Run{20, 20, 180}));
    EXPECT_FALSE(pages.find(1, 10));
    EXPECT_EQ(pages.add(2, 7), 10u);
    EXPECT_EQ(pages.used(), 191u);
}

TEST(FilePages, BehavesLikeAMap) {
    std::mt19937 random(7);
    FilePages pages;
    std::map<std::pair<FileId, std::uint64_t>, std::uint64_t> model;
    for (int step = 0; step < 20000; ++step) {
        const FileId file = 1 + random() % 3;
        const std::uint64_t page = random() % 64;
        if (random() % 3) {
            if (!model.contains({file, page})) model[{file, page}] = pages.add(file, page);
        } else {
            std::uint64_t count = 0;
            for (const auto& run : pages.remove(file, page, page + 5)) count += run.count;
            std::uint64_t expected = 0;
            for (std::uint64_t i = page; i < page + 5; ++i) expected += model.erase({file, i});
            ASSERT_EQ(count, expected);
        }
        ASSERT_EQ(pages.used(), model.size());
    }
    std::set<std::uint64_t> area;
    for (const auto& [key, place] : model) {
        const auto run = pages.find(key.first, key.second);
        ASSERT_TRUE(run);
        EXPECT_EQ(run->area_page, place);
        EXPECT_TRUE(area.insert(place).second) << "two files have a page";
    }
}

TEST(FilePages, CopiesDoNotChangeEachOther) {
    CopyOnWrite<FilePages> first;
    first.change().add(1, 0);
    first.change().set_size(1, 10);
    CopyOnWrite<FilePages> second = first;
    second.change().add(1, 1);
    second.change().set_size(1, 20);
    second.change().remove(1, 0, 1);
    EXPECT_EQ(first->size(1), 10u);
    EXPECT_EQ(first->count(1), 1u);
    EXPECT_TRUE(first->find(1, 0));
    EXPECT_EQ(second->size(1), 20u);
    EXPECT_FALSE(second->find(1, 0));
}

}  // namespace
}  // namespace tinykvm
