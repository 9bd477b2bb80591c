// A piece of a body that a guest reads from a descriptor. A value: this needs no KVM.
#include "src/vms/body_piece.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <vector>

namespace tinykvm::host {
namespace {

class BodyPieceTest : public testing::Test {
  protected:
    BodyPieceTest() {
        for (std::size_t i = 0; i < body_.size(); i++) {
            body_[i] = static_cast<std::byte>(i % 251);
        }
    }
    std::span<const std::byte> part(std::size_t begin, std::size_t size) const {
        return std::span<const std::byte>(body_).subspan(begin, size);
    }
    bool has(std::size_t begin, std::size_t size) const {
        const auto bytes = piece_.bytes(), wanted = part(begin, size);
        return std::vector(bytes.begin(), bytes.end()) == std::vector(wanted.begin(), wanted.end());
    }
    bool append(std::size_t begin, std::size_t size) {
        left_ = part(begin, size);
        return piece_.append(left_);
    }

    std::vector<std::byte> body_ = std::vector<std::byte>(3 * BodyPiece::largest_loan);
    std::span<const std::byte> left_;  // of what was appended last
    BodyPiece piece_;
};

TEST_F(BodyPieceTest, SmallPartsAreJoinedUntilItIsFull) {
    EXPECT_FALSE(append(0, 1000));
    EXPECT_TRUE(left_.empty());
    EXPECT_TRUE(append(1000, request_piece_size));
    EXPECT_EQ(left_.size(), 1000U);
    EXPECT_TRUE(has(0, request_piece_size));
    piece_.clear();
    EXPECT_TRUE(piece_.bytes().empty());
}

TEST_F(BodyPieceTest, ALargePartIsNotCopied) {
    EXPECT_TRUE(append(0, request_piece_size));
    EXPECT_EQ(piece_.bytes().data(), body_.data());
    piece_.clear();
    EXPECT_TRUE(append(7, body_.size() - 7));
    EXPECT_EQ(piece_.bytes().data(), body_.data() + 7);
    EXPECT_EQ(piece_.bytes().size(), BodyPiece::largest_loan);
    EXPECT_EQ(left_.data(), body_.data() + 7 + BodyPiece::largest_loan);
}

TEST_F(BodyPieceTest, ItIsCopiedAfterASmallOne) {
    EXPECT_FALSE(append(0, 1));
    EXPECT_TRUE(append(1, body_.size() - 1));
    EXPECT_NE(piece_.bytes().data(), body_.data());
    EXPECT_TRUE(has(0, request_piece_size));
}

TEST_F(BodyPieceTest, WhatWasBorrowedCanBeKept) {
    EXPECT_TRUE(append(5, request_piece_size + 3));
    piece_.end_loan();
    EXPECT_NE(piece_.bytes().data(), body_.data() + 5);
    EXPECT_TRUE(has(5, request_piece_size + 3));
    piece_.end_loan();
    EXPECT_TRUE(has(5, request_piece_size + 3));
}

TEST_F(BodyPieceTest, AWholeBodyIsCopiedHoweverLongItIs) {
    piece_.append_copy(part(0, 10));
    piece_.append_copy(part(10, body_.size() - 10));
    EXPECT_TRUE(has(0, body_.size()));
}

}  // namespace
}  // namespace tinykvm::host
