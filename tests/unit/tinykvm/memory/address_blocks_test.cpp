// Which guest addresses have which place, without any VM.
#include "tinykvm/memory/address_blocks.hpp"

#include <gtest/gtest.h>

namespace tinykvm {
namespace {

constexpr GuestAddr block = large_page_size;

TEST(AddressBlocks, NothingHasAPlaceAtFirst) {
    const AddressBlocks blocks;
    EXPECT_EQ(blocks.find(0), nullptr);
    EXPECT_EQ(blocks.size(), 0u);
    EXPECT_EQ(blocks.missing(block + 1, block + 2), (GuestRange{block, 2 * block}));
}

TEST(AddressBlocks, PlacesAreFoundToTheByte) {
    AddressBlocks blocks;
    blocks.add(4 * block, 6 * block, 10 * block);
    blocks.add(block, 2 * block, 3 * block);
    EXPECT_EQ(blocks.find(block - 1), nullptr);
    ASSERT_NE(blocks.find(2 * block - 1), nullptr);
    EXPECT_EQ(*blocks.find(2 * block - 1), (PlacedRange{block, 2 * block, 3 * block}));
    EXPECT_EQ(blocks.find(2 * block), nullptr);
    EXPECT_EQ(blocks.find(5 * block)->offset, 10 * block);
    EXPECT_EQ(blocks.size(), 3 * block);
}

TEST(AddressBlocks, NeighboursAreOneOnlyWhenTheirPlacesAre) {
    AddressBlocks blocks;
    blocks.add(block, 2 * block, 0);
    blocks.add(2 * block, 3 * block, block);      // goes on
    blocks.add(3 * block, 4 * block, 5 * block);  // does not
    ASSERT_EQ(blocks.ranges().size(), 2u);
    EXPECT_EQ(blocks.ranges()[0], (PlacedRange{block, 3 * block, 0}));
    EXPECT_EQ(blocks.ranges()[1], (PlacedRange{3 * block, 4 * block, 5 * block}));
}

TEST(AddressBlocks, MissingAreWholeBlocksUpToTheNextPlace) {
    AddressBlocks blocks;
    blocks.add(2 * block, 3 * block, 0);
    blocks.add(5 * block, 6 * block, block);
    EXPECT_EQ(blocks.missing(block + 5, 9 * block), (GuestRange{block, 2 * block}));
    EXPECT_EQ(blocks.missing(2 * block + 5, 9 * block), (GuestRange{3 * block, 5 * block}));
    EXPECT_EQ(blocks.missing(5 * block, 6 * block + 1), (GuestRange{6 * block, 7 * block}));
    const GuestRange none = blocks.missing(2 * block + 5, 3 * block);
    EXPECT_EQ(none.begin, none.end);
}

}  // namespace
}  // namespace tinykvm
