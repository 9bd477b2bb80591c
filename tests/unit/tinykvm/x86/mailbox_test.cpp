// The host's view of a mailbox page, on memory of the test: what goes in comes out, whatever a guest wrote meanwhile.
#include "tinykvm/x86/mailbox.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tinykvm::x86 {
namespace {

class MailboxTest : public testing::Test {
  protected:
    // What a guest would have in a word of the page.
    template <typename Word>
    Word word(std::size_t offset) const {
        Word value;
        std::memcpy(&value, page_ + offset, sizeof value);
        return value;
    }

    alignas(page_size) std::byte page_[page_size]{};
    Mailbox mailbox_{page_};
};

TEST_F(MailboxTest, PhasesChangeOnlyFromWhatTheyWere) {
    EXPECT_EQ(mailbox_.phase(), Mailbox::Phase::running);
    mailbox_.set_phase(Mailbox::Phase::waiting);
    EXPECT_EQ(word<std::uint32_t>(MAILBOX_PHASE), std::uint32_t{MAILBOX_WAITING});
    EXPECT_FALSE(mailbox_.change_phase(Mailbox::Phase::taken, Mailbox::Phase::call));
    EXPECT_EQ(mailbox_.phase(), Mailbox::Phase::waiting);
    EXPECT_TRUE(mailbox_.change_phase(Mailbox::Phase::waiting, Mailbox::Phase::call));
    EXPECT_EQ(mailbox_.phase(), Mailbox::Phase::call);
}

TEST_F(MailboxTest, APhaseNobodyKnowsIsNoneOfOurs) {
    const std::uint32_t unknown = 0xFFFFFFFF;
    std::memcpy(page_ + MAILBOX_PHASE, &unknown, sizeof unknown);
    EXPECT_NE(mailbox_.phase(), Mailbox::Phase::posted);
    EXPECT_FALSE(mailbox_.change_phase(Mailbox::Phase::posted, Mailbox::Phase::taken));
    mailbox_.set_phase(Mailbox::Phase::leave);
    EXPECT_EQ(mailbox_.phase(), Mailbox::Phase::leave);
}

TEST_F(MailboxTest, CallsAreWhereTheShimLooks) {
    const Mailbox::Words arguments{1, 2, 3, 4, 5, 6};
    mailbox_.set_call(0x401000, arguments, 0x7000);
    mailbox_.set_wait_until(99);
    EXPECT_EQ(word<std::uint64_t>(MAILBOX_TARGET), 0x401000u);
    EXPECT_EQ(word<std::uint64_t>(MAILBOX_STACK), 0x7000u);
    EXPECT_EQ(word<std::uint64_t>(MAILBOX_WAIT_UNTIL), 99u);
    EXPECT_EQ(mailbox_.target(), 0x401000u);
    EXPECT_EQ(mailbox_.arguments(), arguments);
}

TEST_F(MailboxTest, ASecondResultIsTheThirdArgument) {
    mailbox_.set_call(0, {1, 2, 3, 4, 5, 6}, 0);
    mailbox_.set_result(7, std::nullopt);
    EXPECT_EQ(mailbox_.arguments()[2], 3u);
    mailbox_.set_result(8, 9);
    EXPECT_EQ(word<std::uint64_t>(MAILBOX_RESULT), 8u);
    EXPECT_EQ(mailbox_.arguments()[2], 9u);
    mailbox_.set_link(0x402000);
    EXPECT_EQ(mailbox_.link(), 0x402000u);
}

TEST_F(MailboxTest, ListeningSaysSoToTheGuest) {
    mailbox_.listen(true);
    EXPECT_EQ(word<std::uint32_t>(MAILBOX_LISTENING), 1u);
    mailbox_.listen(false);
    EXPECT_EQ(word<std::uint32_t>(MAILBOX_LISTENING), 0u);
}

TEST_F(MailboxTest, ClearLeavesNothingInTheWholePage) {
    std::fill(std::begin(page_), std::end(page_), std::byte{0xEE});
    mailbox_.clear();
    EXPECT_TRUE(std::all_of(std::begin(page_), std::end(page_), [](std::byte b) { return b == std::byte{0}; }));
}

}  // namespace
}  // namespace tinykvm::x86
