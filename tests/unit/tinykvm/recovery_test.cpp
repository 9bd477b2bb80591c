// What a fork is after a call that failed, when nothing of it is undone (Fork::recover()).
#include <set>

#include "tests/unit/booted_guest.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;
using test::in_seconds;

TEST(Recovery, WhatWasWrittenBeforeACrashStaysAndTheNextCallRuns) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    std::uint64_t counted = 100, of_thread = 7;
    // Odd uses of the doorbell page leave KVM in the middle of an instruction.
    const std::set<std::uint64_t> hopeless{8, 9, 10};
    for (std::uint64_t kind = 0; kind <= 20; ++kind) {
        EXPECT_EQ(guest.call(fork, "count"), ++counted) << kind;
        EXPECT_EQ(guest.call(fork, "tls"), ++of_thread) << kind;
        EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, "crash", {kind}); }), "") << kind;
        EXPECT_EQ(fork.recover(true), !hopeless.contains(kind)) << kind;
        if (hopeless.contains(kind)) {
            fork.reset();
            counted = 100, of_thread = 7;
        }
        EXPECT_EQ(guest.call(fork, "count"), ++counted) << kind;
        EXPECT_EQ(guest.call(fork, "tls"), ++of_thread) << kind;
    }
}

TEST(Recovery, AfterTheEndOfItsTime) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    std::uint64_t calls = 100;
    for (const char* function : {"spin", "system_calls_for_ever", "sleep_long"}) {
        EXPECT_NE(error_of<Timeout>([&] { guest.call(fork, function, {}, in_seconds(0.02)); }), "") << function;
        EXPECT_TRUE(fork.recover(false)) << function;
        EXPECT_EQ(guest.call(fork, "count"), ++calls) << function;
    }
}

TEST(Recovery, AfterTheEndOfItsMemoryCallsGoOnThatNeedNoMore) {
    Options options;
    options.max_request_memory = std::size_t{8} << 20;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "count"), 101u);
    for (std::uint64_t i = 0; i < 3; ++i) {
        EXPECT_NE(error_of<OutOfMemory>([&] { guest.call(fork, "allocate_all"); }), "") << i;
        ASSERT_TRUE(fork.recover(false)) << i;
        EXPECT_EQ(guest.call(fork, "count"), 102u + i);
    }
    // The limit is what it was.
    fork.reset();
    EXPECT_EQ(guest.call(fork, "touch", {0, 100}), 100u);
    EXPECT_NE(error_of<OutOfMemory>([&] { guest.call(fork, "allocate_all"); }), "");
    fork.reset();
    EXPECT_LE(fork.statistics().memory_peak, (std::size_t{8} << 20) + (std::size_t{4} << 20));
}

TEST(Recovery, NotWhenAThreadOfTheProgramsOwnHasCrashed) {
    BootedGuest guest("threads");
    Fork fork(guest.snapshot);
    EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, "dirty", {16}); }), "");
    EXPECT_FALSE(fork.recover(true));
    fork.reset();
    EXPECT_EQ(guest.call(fork, "own_value"), 7u);
}

}  // namespace
}  // namespace tinykvm
