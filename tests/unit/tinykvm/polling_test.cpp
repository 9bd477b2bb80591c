// Calls of a fork that is entered and waits for them (Fork, "Calls without entering").
#include "tests/unit/eventually.hpp"
#include "tests/unit/polled_fork.hpp"

namespace tinykvm {
namespace {

using namespace std::chrono_literals;
using test::BootedGuest;
using test::error_of;
using test::in_seconds;
using test::long_wait;
using test::PolledFork;

TEST(Polling, AnAnswerComesWithoutAnExitAndOnlyLeavingIsOne) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    for (std::uint64_t i = 0; i < 50; ++i) {
        const std::uint64_t exits = polled.fork.statistics().exits;
        WAIT_OR_SKIP(polled);
        ASSERT_TRUE(polled.post("add", {i, 1}));
        ASSERT_TRUE(polled.listen());
        EXPECT_EQ(guest.calls.answer, i + 1);
        polled.join();
        EXPECT_EQ(polled.stop->reason, Stop::Reason::host_call);
        EXPECT_EQ(polled.fork.statistics().exits, exits + 1);
        polled.fork.reset();
    }
    EXPECT_EQ(polled.fork.statistics().rebuilds, 0u);
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

TEST(Polling, CallsOnTheWayGoThroughTheMailboxToo) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("note_then_answer", {20, 5}));
    ASSERT_TRUE(polled.listen());
    polled.join();
    EXPECT_EQ(guest.calls.notes.size(), 20u);
    EXPECT_EQ(guest.calls.answer, 5u);
    EXPECT_EQ(polled.fork.statistics().exits, 1u);
}

TEST(Polling, AGuestThatWaitsAgainServesWithoutAnyExitAndKeepsItsState) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    for (std::uint64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(polled.post("count", {}));
        ASSERT_TRUE(polled.listen(long_wait));
        EXPECT_EQ(guest.calls.answer, 101 + i);
    }
    polled.fork.wake();
    polled.join();
    EXPECT_FALSE(polled.stop);
    EXPECT_EQ(polled.fork.statistics().exits, 1u);
    polled.fork.reset();
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

TEST(Polling, AFunctionThatReturnsCanBeCalledAgainAtOnce) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    for (std::uint64_t i = 0; i < 50; ++i) {
        ASSERT_TRUE(polled.post("give_back", {i}));
        const auto stop = polled.listen_only();
        ASSERT_TRUE(stop);
        EXPECT_EQ(stop->reason, Stop::Reason::returned);
        EXPECT_EQ(stop->values[0], i);
    }
    ASSERT_TRUE(polled.post("count", {}));
    ASSERT_TRUE(polled.listen_only());
    EXPECT_EQ(guest.calls.answer, 101u);
    ASSERT_TRUE(polled.post("give_back", {7}));
    ASSERT_TRUE(polled.listen());
    polled.join();
    EXPECT_EQ(polled.stop->reason, Stop::Reason::returned);
    EXPECT_EQ(polled.stop->values[0], 7u);
    EXPECT_EQ(polled.fork.statistics().exits, 1u);
    polled.fork.reset();
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

TEST(Polling, AProgramThatStandsInAHostCallGoesOnBehindIt) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    for (int i = 0; i < 50; ++i) {
        const std::uint64_t exits = polled.fork.statistics().exits;
        WAIT_OR_SKIP(polled, long_wait, Awaits::result);
        EXPECT_FALSE(polled.post("add", {1, 2}));
        ASSERT_TRUE(polled.post_result(0));
        ASSERT_TRUE(polled.listen());
        EXPECT_EQ(guest.calls.answer, 100u);
        polled.join();
        EXPECT_EQ(polled.stop->reason, Stop::Reason::host_call);
        EXPECT_EQ(polled.fork.statistics().exits, exits + 1);
        if (i % 2) {
            // It also goes on after its answer.
            const Stop end = polled.fork.resume(0, guest.calls, test::patience());
            EXPECT_EQ(end.reason, Stop::Reason::exited);
            EXPECT_EQ(end.exit_status, 42);
        }
        polled.fork.reset();
    }
}

TEST(Polling, AProgramThatIsTooSlowToLeaveStandsInItsCall) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    for (int i = 0; i < 3; ++i) {
        WAIT_OR_SKIP(polled, long_wait, Awaits::result);
        ASSERT_TRUE(polled.post_result(0));
        ASSERT_TRUE(polled.listen_only());
        polled.fork.interrupt();  // as the watchdog does
        polled.join();
        EXPECT_EQ(polled.stop->reason, Stop::Reason::host_call);
        const Stop end = polled.fork.resume(0, guest.calls, test::patience());
        EXPECT_EQ(end.reason, Stop::Reason::exited);
        EXPECT_EQ(end.exit_status, 42);
        polled.fork.reset();
    }
}

TEST(Polling, AProgramWhoseResultDoesNotComeStandsWhereItStood) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    for (const auto wait : {100us, std::chrono::microseconds(long_wait)}) {
        WAIT_OR_SKIP(polled, wait, Awaits::result);
        if (wait == long_wait) polled.fork.wake();
        polled.join();
        EXPECT_FALSE(polled.stop);
        EXPECT_FALSE(polled.post_result(0));
        EXPECT_EQ(polled.fork.resume(0, guest.calls, test::patience()).reason, Stop::Reason::host_call);
        EXPECT_EQ(guest.calls.answer, 100u);
        EXPECT_EQ(polled.fork.resume(0, guest.calls, test::patience()).reason, Stop::Reason::exited);
        polled.fork.reset();
    }
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

TEST(Polling, WithoutAListenerCallsLeaveTheGuest) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("note_then_answer", {20, 5}));
    polled.fork.disable_mailbox();
    polled.fork.poll_call(guest.calls);  // one may have been posted before
    eventually("the guest answers or leaves", [&] { return polled.left || guest.calls.answered; });
    polled.join();
    EXPECT_EQ(polled.stop->reason, Stop::Reason::host_call);
    EXPECT_EQ(guest.calls.notes.size(), 20u);
    EXPECT_EQ(guest.calls.answer, 5u);
}

TEST(Polling, CallsThatWaitLeaveTheGuest) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    guest.calls.notes_wait = true;
    ASSERT_TRUE(polled.post("note_then_answer", {20, 5}));
    std::thread interrupter([&] {
        eventually("the guest calls or leaves",
                   [&] { return polled.left || guest.calls.noted_by.load() != std::thread::id(); });
        polled.fork.interrupt();
    });
    EXPECT_FALSE(polled.listen());
    polled.join();
    interrupter.join();
    EXPECT_FALSE(polled.stop);
    EXPECT_NE(polled.error, "");
    EXPECT_EQ(guest.calls.notes.size(), 1u);
    EXPECT_NE(guest.calls.noted_by.load(), std::this_thread::get_id());
    polled.fork.reset();
    guest.calls.notes_wait = false;
    EXPECT_EQ(guest.call(polled.fork, "note_then_answer", {3, 6}), 6u);
}

TEST(Polling, NobodyCalls) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled, 100us);
    polled.join();
    EXPECT_FALSE(polled.stop);
    EXPECT_FALSE(polled.post("add", {1, 2}));
    EXPECT_EQ(guest.call(polled.fork, "add", {1, 2}), 3u);
    polled.fork.reset();
    ASSERT_TRUE(polled.wait());
    polled.fork.wake();
    polled.join();
    EXPECT_FALSE(polled.stop);
    polled.fork.reset();
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

// The registers of the program are loaded inside the guest: one that was kept from that must load them later.
TEST(Polling, AGuestThatCouldNotEvenWaitHasNothingOfTheCallBefore) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(polled.fork, "vector"), 11u);
        EXPECT_EQ(guest.call(polled.fork, "set_vector", {0xBAD}), 0xBADu);
        polled.fork.reset();
        if (!polled.fork.prepare_wait(Awaits::call, long_wait)) GTEST_SKIP() << "no time-stamp counter here";
        polled.fork.interrupt();
        EXPECT_FALSE(polled.fork.wait_for_call(guest.calls));
    }
}

TEST(Polling, SystemCallsFaultsAndEndsAreHandledByTheThreadThatRunsIt) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("random_bytes", {}));
    EXPECT_TRUE(polled.listen());
    polled.join();
    polled.fork.reset();

    ASSERT_TRUE(polled.wait());
    ASSERT_TRUE(polled.post("crash", {0}));
    EXPECT_FALSE(polled.listen());
    polled.join();
    EXPECT_NE(polled.error.find("page fault"), std::string::npos) << polled.error;
    polled.fork.reset();

    ASSERT_TRUE(polled.wait());
    ASSERT_TRUE(polled.post("leave", {7}));
    EXPECT_FALSE(polled.listen());
    polled.join();
    EXPECT_EQ(polled.stop->exit_status, 7);
    polled.fork.reset();

    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

TEST(Polling, DeadlineAndInterruptEndACall) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("spin", {}, in_seconds(0.02)));
    EXPECT_FALSE(polled.listen());
    polled.join();
    EXPECT_NE(polled.error.find("end of its time"), std::string::npos) << polled.error;
    polled.fork.reset();

    ASSERT_TRUE(polled.wait());
    ASSERT_TRUE(polled.post("spin", {}));
    polled.fork.interrupt();
    EXPECT_FALSE(polled.listen());
    polled.join();
    EXPECT_NE(polled.error.find("interrupted"), std::string::npos) << polled.error;
    polled.fork.reset();
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

TEST(Polling, RequestMemoryIsLimited) {
    Options options;
    options.max_request_memory = std::size_t{1} << 20;
    BootedGuest guest("worker", options);
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("touch", {100, 300}));
    EXPECT_FALSE(polled.listen());
    polled.join();
    EXPECT_NE(polled.error.find("max_request_memory"), std::string::npos) << polled.error;
    polled.fork.reset();
    EXPECT_EQ(guest.call(polled.fork, "sum", {100, 300}), 0u);
}

// A program may say anything in its mailbox, and go on after its answer: its own request is all it can spoil.
TEST(Polling, AGuestThatLiesInItsMailboxHarmsOnlyItself) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    for (const bool again : {false, true}) {
        for (std::uint64_t kind = 0; kind < 6; ++kind) {
            WAIT_OR_SKIP(polled);
            ASSERT_TRUE(polled.post("lie", {kind}, in_seconds(0.1)));
            const bool answered = polled.listen(again ? std::optional(1000us) : std::nullopt).has_value();
            EXPECT_TRUE(!answered || kind == 0 || kind >= 3) << kind;
            if (answered && again) {
                // "It waits again": a second call, which it may or may not begin.
                if (polled.post("add", {1, 2}, in_seconds(0.1))) polled.listen();
            }
            polled.fork.wake();
            polled.join();
            polled.fork.reset();
            ASSERT_EQ(guest.call(polled.fork, "count"), 101u) << kind;
            polled.fork.reset();
            ASSERT_EQ(guest.call(polled.fork, "sum", {0, 64}), 128u) << kind;
            polled.fork.reset();
        }
    }
}

TEST(Polling, AGuestThatWaitsAgainWithoutAStackCannotBeCalled) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("answer_without_stack", {}));
    ASSERT_TRUE(polled.listen(long_wait));
    EXPECT_THROW(polled.post("count", {}), MachineError);
    polled.fork.wake();
    polled.join();
    polled.fork.reset();
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

TEST(Polling, WhatAHandlerThrowsEndsTheCallOnTheOtherThread) {
    struct Thrower final : HostCalls {
        HostCallResult handle(const HostCall&, GuestMemory&) override { throw MachineError("not today"); }
    } thrower;
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("add", {1, 2}));
    const auto has_left = [&] {
        EXPECT_FALSE(!polled.left && polled.fork.poll_call(thrower));
        return polled.left.load();
    };
    eventually("the guest whose call fails leaves", has_left, std::chrono::milliseconds(0));
    polled.join();
    EXPECT_EQ(polled.error, "not today");
    polled.fork.reset();
    EXPECT_EQ(guest.call(polled.fork, "count"), 101u);
}

}  // namespace
}  // namespace tinykvm
