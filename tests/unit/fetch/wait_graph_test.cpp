// Which waits for a VM are hopeless, and which are not.
#include "src/fetch/wait_graph.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tinykvm::host {
namespace {

class WaitGraphTest : public testing::Test {
  protected:
    WaitGraph graph;
    const int a = 0, b = 0, c = 0;  // pools
};

TEST_F(WaitGraphTest, OneVmThatAsksForItself) {
    const auto request = graph.begin_self_request(&a, 0);
    EXPECT_FALSE(graph.begin_wait(&a, 1, request.id()));
    EXPECT_TRUE(graph.begin_wait(&a, 2, request.id()));  // there is another one
    EXPECT_TRUE(graph.begin_wait(&b, 1, request.id()));
    EXPECT_TRUE(graph.begin_wait(&a, 1, 0));                 // a client can wait until it is over
    EXPECT_TRUE(graph.begin_wait(&a, 1, request.id() + 1));  // what was made up counts for nothing
}

TEST_F(WaitGraphTest, ProgramsThatAskForEachOther) {
    const auto of_a = graph.begin_self_request(&a, 0);
    const auto of_b = graph.begin_self_request(&b, of_a.id());
    EXPECT_FALSE(graph.begin_wait(&a, 1, of_b.id()));
    EXPECT_FALSE(graph.begin_wait(&b, 1, of_b.id()));
    const auto of_chain = graph.begin_self_request(nullptr, of_b.id());  // holds no VM, but is waited for
    EXPECT_FALSE(graph.begin_wait(&a, 1, of_chain.id()));
    EXPECT_TRUE(graph.begin_wait(&c, 1, of_chain.id()));
}

TEST_F(WaitGraphTest, AllVmsHeldByNestedRequests) {
    const auto outer = graph.begin_self_request(&a, 0);
    const auto inner = graph.begin_self_request(&a, outer.id());
    EXPECT_FALSE(graph.begin_wait(&a, 2, inner.id()));
    EXPECT_TRUE(graph.begin_wait(&a, 3, inner.id()));
}

TEST_F(WaitGraphTest, HopeIsWhateverElseMayEnd) {
    const auto first = graph.begin_self_request(&a, 0), second = graph.begin_self_request(&a, 0);
    auto wait_of_first = graph.begin_wait(&a, 2, first.id());
    ASSERT_TRUE(wait_of_first);  // the second may be answered without it
    EXPECT_FALSE(graph.begin_wait(&a, 2, second.id()));
    wait_of_first->end();  // it has got one
    EXPECT_TRUE(graph.begin_wait(&a, 2, second.id()));
}

TEST_F(WaitGraphTest, TwoThatHoldWhatTheOtherNeeds) {
    const auto of_a = graph.begin_self_request(&a, 0);
    const auto of_b = graph.begin_self_request(&b, 0);
    const auto wait_for_b = graph.begin_wait(&b, 1, of_a.id());
    ASSERT_TRUE(wait_for_b);
    EXPECT_FALSE(graph.begin_wait(&a, 1, of_b.id()));
    EXPECT_TRUE(graph.begin_wait(&c, 1, of_b.id()));
}

// A wait among many is found to be hopeless without delay, too: each wait for any VM waits for this one.
TEST_F(WaitGraphTest, ManyThatHoldWhatTheNextOneNeeds) {
    constexpr std::size_t programs = 500;
    std::vector<char> pools(programs);
    std::vector<WaitGraph::Entry> requests, waits;
    for (const char& pool : pools) {
        requests.push_back(graph.begin_self_request(&pool, 0));
    }
    for (std::size_t i = 0; i + 1 < programs; i++) {
        auto wait = graph.begin_wait(&pools[i + 1], 1, requests[i].id());
        ASSERT_TRUE(wait) << i;
        waits.push_back(*std::move(wait));
    }
    EXPECT_FALSE(graph.begin_wait(&pools.front(), 1, requests.back().id()));
    EXPECT_TRUE(graph.begin_wait(&pools.front(), 2, requests.back().id()));
    waits[programs / 2].end();
    EXPECT_TRUE(graph.begin_wait(&pools.front(), 1, requests.back().id()));
}

TEST_F(WaitGraphTest, WhatIsOverIsForgotten) {
    auto outer = graph.begin_self_request(&a, 0);
    const auto id = outer.id();
    auto moved = std::move(outer);
    EXPECT_FALSE(graph.begin_wait(&a, 1, id));
    moved.end();
    EXPECT_TRUE(graph.begin_wait(&a, 1, id));
}

// Of many chains that share pools none is refused unless the others wait as well, and one that is refused lets the
// others go on: all come to an end.
TEST_F(WaitGraphTest, AnyNumberOfThreads) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            const void* mine = t % 2 == 0 ? &a : &b;
            const void* other = t % 2 == 0 ? &b : &a;
            for (int i = 0; i < 2000; i++) {
                const auto request = graph.begin_self_request(mine, 0);
                const auto wait = graph.begin_wait(other, 2, request.id());
                const auto inner = graph.begin_self_request(other, request.id());
                (void)graph.begin_wait(mine, 2, inner.id());
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const auto request = graph.begin_self_request(&a, 0);
    EXPECT_FALSE(graph.begin_wait(&a, 1, request.id()));
    EXPECT_TRUE(graph.begin_wait(&a, 2, request.id()));
}

}  // namespace
}  // namespace tinykvm::host
