// Threads that are lent to the guest and taken back, with the guest's part played here. This needs no KVM.
#include "tinykvm/linux/lent_threads.hpp"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tinykvm/linux/state.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/x86/hand_over.hpp"

namespace tinykvm {
namespace {

using linux_abi::LentThreads;
using linux_abi::ParkedThread;
using linux_abi::ProcessState;
using linux_abi::Wait;

class LentThreadsTest : public testing::Test {
  protected:
    static constexpr std::size_t vector_size = 832;
    static constexpr GuestAddr word = 0x1000;

    LentThreadsTest() {
        state.thread.id = 10;
        park(11, {.what = Wait::For::futex, .bitset = ~0u, .address = word});
        park(12, {.returned = true});
    }

    void park(int id, const Wait& wait) {
        ParkedThread parked;
        parked.state.id = id;
        parked.state.wait = wait;
        parked.registers.rip = 0x400000 + static_cast<std::uint64_t>(id);
        parked.vectors = std::make_shared<const std::vector<std::byte>>(vector_size);
        state.parked.push_back(std::move(parked));
    }

    x86::HandOverPages& pages() { return *reinterpret_cast<x86::HandOverPages*>(memory.data()); }
    std::size_t place_at(GuestAddr rip) {
        const auto found = std::find_if(std::begin(pages().contexts), std::end(pages().contexts),
                                        [rip](const x86::HandOverContext& context) { return context.rip == rip; });
        return static_cast<std::size_t>(found - std::begin(pages().contexts));
    }
    // The running thread waits for a word, and the thread of a place runs, as the shim does it.
    void hand_over(std::size_t to) {
        const std::size_t from = pages().current / ENTRY_SIZE;
        pages().entries[from] = {ENTRY_WAITS | ENTRY_SAVED, 5, word + 4};
        pages().contexts[from].rip = 0x500000;
        pages().contexts[from].fs_base = 0x7777;
        pages().current = static_cast<std::uint32_t>(to * ENTRY_SIZE);
        pages().entries[to].state = 0;
    }
    bool is_zero() const {
        return std::all_of(memory.begin(), memory.end(), [](std::byte byte) { return byte == std::byte{0}; });
    }

    alignas(64) std::array<std::byte, x86::hand_over_size> memory{};
    ProcessState state;
    Options options;
    LentThreads lent{memory.data(), vector_size, 7, true};
};

TEST_F(LentThreadsTest, NothingHappensWhenTheGuestDoesNothing) {
    const ProcessState before = state;
    lent.lend(state, options, true);
    EXPECT_EQ(pages().lent, 1u);
    EXPECT_EQ(pages().armed, 1u);
    lent.take_back(state);
    EXPECT_EQ(pages().lent, 0u);
    EXPECT_EQ(state.thread.id, 10);
    ASSERT_EQ(state.parked.size(), 2u);
    EXPECT_EQ(state.parked[0].state.id, 11);
    EXPECT_FALSE(state.parked[0].state.wait.woken);
    EXPECT_EQ(state.parked[0].vectors, before.parked[0].vectors);
    EXPECT_TRUE(state.parked[1].state.wait.returned);
}

// OpenMP wakes the threads of a team of one, too, which there are none of.
TEST_F(LentThreadsTest, AThreadAloneIsLent) {
    state.parked.clear();
    lent.lend(state, options, false);
    EXPECT_EQ(pages().lent, 1u);
    EXPECT_EQ(pages().others, 0u);
    lent.take_back(state);
    EXPECT_EQ(pages().lent, 0u);
    EXPECT_EQ(state.thread.id, 10);
    EXPECT_TRUE(state.parked.empty());
}

TEST_F(LentThreadsTest, OneThatWasWokenIsReady) {
    lent.lend(state, options, false);
    EXPECT_EQ(pages().armed, 0u);
    pages().entries[place_at(0x400000 + 11)].state = ENTRY_READY;
    lent.take_back(state);
    EXPECT_TRUE(state.parked.at(0).state.wait.woken);
}

TEST_F(LentThreadsTest, AnotherThreadMayRunAfterwards) {
    lent.lend(state, options, true);
    hand_over(place_at(0x400000 + 12));
    lent.take_back(state);
    EXPECT_EQ(state.thread.id, 12);
    EXPECT_EQ(state.thread.wait.what, Wait::For::processor);
    ASSERT_EQ(state.parked.size(), 2u);
    EXPECT_EQ(state.parked[0].state.id, 11);
    const ParkedThread& first = state.parked[1];  // it has waited least
    EXPECT_EQ(first.state.id, 10);
    EXPECT_EQ(first.state.wait.what, Wait::For::futex);
    EXPECT_EQ(first.state.wait.address, word + 4);
    EXPECT_EQ(first.state.wait.bitset, 5u);
    EXPECT_EQ(first.registers.rax, static_cast<std::uint64_t>(SYS_futex));
    EXPECT_EQ(first.registers.rip, 0x500000u);
    EXPECT_EQ(first.pointers.fs_base, 0x7777u);
    ASSERT_TRUE(first.vectors);
    EXPECT_EQ(first.vectors->size(), vector_size);
}

TEST_F(LentThreadsTest, WhatCannotBeLentStaysWithTheHost) {
    park(13, {.what = Wait::For::files});
    park(14, {});  // interrupted between two instructions
    lent.lend(state, options, true);
    EXPECT_EQ(pages().lent, 1u);
    EXPECT_EQ(pages().others, 1u);
    EXPECT_EQ(place_at(0x400000 + 14), x86::HandOverPages::places);
    lent.take_back(state);
    EXPECT_EQ(state.parked.size(), 4u);
}

TEST_F(LentThreadsTest, NothingIsLentWhenTheShimCouldMissAWaiter) {
    for (int id = 20; id < 60; ++id) park(id, {.what = Wait::For::futex, .bitset = ~0u, .address = word});
    lent.lend(state, options, true);
    EXPECT_EQ(pages().lent, 0u);
    lent.take_back(state);
    EXPECT_EQ(state.parked.size(), 42u);
}

TEST_F(LentThreadsTest, ClearLeavesNothing) {
    lent.lend(state, options, true);
    hand_over(place_at(0x400000 + 12));
    pages().yields = pages().traps = 99;
    lent.clear();
    EXPECT_TRUE(is_zero());
    lent.take_back(state);
    EXPECT_EQ(state.thread.id, 10);
}

// Whatever a guest writes there: threads stay the same in number, and their registers are ones that KVM takes.
TEST_F(LentThreadsTest, AHostileGuestChangesItsOwnThreadsOnly) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 2000; ++round) {
        lent.lend(state, options, round % 2);
        for (int i = 0; i < 200; ++i) memory[random() % memory.size()] = static_cast<std::byte>(random());
        if (round % 3 == 0) pages().current = static_cast<std::uint32_t>(random() % 400);
        for (x86::HandOverEntry& entry : pages().entries)
            if (round % 5 == 0) entry.state = static_cast<std::uint32_t>(random());
        lent.take_back(state);
        ASSERT_EQ(state.parked.size(), 2u);
        int ids = state.thread.id;
        for (const ParkedThread& parked : state.parked) {
            ids += parked.state.id;
            EXPECT_LT(parked.pointers.fs_base, x86::user_end);
            EXPECT_LT(parked.pointers.gs_base, x86::user_end);
            ASSERT_TRUE(parked.vectors);
            std::uint64_t header[8];
            std::memcpy(header, parked.vectors->data() + 512, sizeof header);
            EXPECT_EQ(header[0] & ~std::uint64_t{7}, 0u);
            EXPECT_EQ(header[1], 0u);
        }
        EXPECT_EQ(ids, 10 + 11 + 12);
    }
    lent.clear();
}

}  // namespace
}  // namespace tinykvm
