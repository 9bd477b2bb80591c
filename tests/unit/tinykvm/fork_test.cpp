// Booting, freezing, calling, resetting.
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/booted_guest.hpp"
#include "tinykvm/kvm/vm.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;
using test::in_seconds;
using test::patience;

constexpr std::size_t MiB = std::size_t{1} << 20;

TEST(Fork, CallsAFunctionWithArguments) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "add", {40, 2}), 42u);
    EXPECT_EQ(guest.call(fork, "add", {1, 2}), 3u);
}

TEST(Fork, CallsAFunctionOfAPositionIndependentProgram) {
    BootedGuest guest("worker_pie");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "add", {40, 2}), 42u);
    EXPECT_EQ(guest.call(fork, "tls"), 8u);
}

TEST(Fork, KeepsItsStateBetweenCallsAndLosesItWithReset) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "count"), 101u);
    EXPECT_EQ(guest.call(fork, "count"), 102u);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "count"), 101u);
    for (int i = 0; i < 100; ++i) {
        fork.reset();
        EXPECT_EQ(guest.call(fork, "tls"), 8u);
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

// Where user mode runs natively a guest can use AMX though nothing says so.
TEST(Fork, TilesOfARequestAreGoneInTheNext) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    if (error_of<GuestFault>([&] { guest.call(fork, "set_tiles"); }) != "")
        GTEST_SKIP() << "guests have no AMX on this machine";
    EXPECT_EQ(guest.call(fork, "tiles"), 1u);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "tiles"), 0u);
}

TEST(Fork, SiblingsDoNotSeeEachOther) {
    BootedGuest guest("worker");
    Fork a(guest.snapshot), b(guest.snapshot);
    for (int i = 1; i <= 3; ++i) EXPECT_EQ(guest.call(a, "count"), 100u + i);
    EXPECT_EQ(guest.call(b, "count"), 101u);
    Fork c(guest.snapshot);
    EXPECT_EQ(guest.call(c, "count"), 101u);
}

TEST(Fork, ReturningWithoutAnAnswerIsSeen) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    const std::uint64_t argument[] = {5};
    Stop stop = fork.call(guest.calls.functions.at("give_back"), argument, guest.calls, patience());
    EXPECT_EQ(stop.reason, Stop::Reason::returned);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

TEST(Fork, ExitEndsTheCall) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    const std::uint64_t argument[] = {7};
    Stop stop = fork.call(guest.calls.functions.at("leave"), argument, guest.calls, patience());
    EXPECT_EQ(stop.reason, Stop::Reason::exited);
    EXPECT_EQ(stop.exit_status, 7);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

TEST(Fork, ResumeGoesOnBehindTheCallTheProgramWasFrozenIn) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        Stop stop = fork.resume(0, guest.calls, patience());
        EXPECT_EQ(stop.reason, Stop::Reason::host_call);
        EXPECT_EQ(guest.calls.answer, 100u);
        fork.reset();
    }
}

TEST(Fork, OldCallingConventionWorks) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "old_answer", {77}), 77u);
        EXPECT_EQ(guest.call(fork, "add", {1, 1}), 2u);
        fork.reset();
    }
}

TEST(Fork, EmptyCallAndResetCostOneExitAndNoFault) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 10; ++i) {
        guest.call(fork, "add", {1, 2});
        fork.reset();
    }
    const Statistics before = fork.statistics();
    for (int i = 0; i < 100; ++i) {
        guest.call(fork, "add", {1, 2});
        fork.reset();
    }
    const Statistics& after = fork.statistics();
    EXPECT_EQ(after.exits - before.exits, 100u);
    EXPECT_EQ(after.kvm_calls - before.kvm_calls, 100u);
    EXPECT_EQ(after.guest_faults, before.guest_faults);
    EXPECT_EQ(after.system_calls, before.system_calls);
}

TEST(Fork, RandomBytesDifferInEveryForkAndAfterEveryReset) {
    BootedGuest guest("worker");
    std::set<std::uint64_t> seen;
    Fork a(guest.snapshot), b(guest.snapshot);
    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(seen.insert(guest.call(a, "random_bytes")).second);
        EXPECT_TRUE(seen.insert(guest.call(b, "random_bytes")).second);
        a.reset();
        b.reset();
    }
}

TEST(Fork, TimeGoesOnAcrossForksAndResets) {
    BootedGuest guest("worker");
    auto host = [] { return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()); };
    Fork a(guest.snapshot);
    std::uint64_t last = host() - 1000000;
    for (int i = 0; i < 50; ++i) {
        Fork b(guest.snapshot);
        for (Fork* fork : {&a, &b}) {
            const std::uint64_t now = guest.call(*fork, "now");
            EXPECT_GE(now, last);
            EXPECT_LE(now, host() + 1000000);
            last = now;
        }
        a.reset();
    }
}

TEST(Fork, RequestMemoryLimitIsExact) {
    Options options;
    options.max_request_memory = 8 * MiB;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    guest.call(fork, "touch", {0, 1});
    const std::uint64_t overhead = fork.memory().changed_bytes() / page_size - 1;  // stack and the like
    for (int i = 0; i < 3; ++i) {
        fork.reset();
        EXPECT_EQ(guest.call(fork, "touch", {0, 2048 - overhead}), 2048 - overhead);
        fork.reset();
        std::string error = error_of<OutOfMemory>([&] { guest.call(fork, "touch", {0, 2048 - overhead + 1}); });
        EXPECT_NE(error.find("max_request_memory"), std::string::npos) << error;
        fork.reset();
        // Pages other than those an earlier request used: as many again.
        EXPECT_EQ(guest.call(fork, "touch", {3000, 2048 - overhead}), 2048 - overhead);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "sum", {0, 5000}), 128u);
    }
}

TEST(Fork, MoreMemoryThanTheRingHoldsIsRestored) {
    Options options;
    options.max_request_memory = 8192 * page_size;  // a ring of as many entries, of which KVM keeps 64 and more
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    for (int i = 0; i < 4; ++i) {
        const std::uint64_t exits = fork.statistics().exits;
        // Once it was full, pages are entered again each time.
        for (int times = 0; times < 3; ++times) EXPECT_EQ(guest.call(fork, "touch", {0, 8160}), 8160u);
        if (i == 0) {
            EXPECT_GT(fork.statistics().exits, exits + 3) << "the ring was never full";
        }
        EXPECT_EQ(guest.call(fork, "sum", {0, 8160}), 8160u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "sum", {0, 8160}), 128u);
        fork.reset();
    }
}

// A large working set that is kept fits in the dirty ring, whatever number of requests changes it.
TEST(Fork, ALargeWorkingSetDoesNotFillTheRing) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    guest.call(fork, "touch", {0, 7000});
    fork.reset();
    guest.call(fork, "touch", {0, 7000});
    EXPECT_EQ(guest.call(fork, "sum", {0, 7000}), 7000u);
    fork.reset();
    const std::uint64_t exits = fork.statistics().exits, dirty = fork.memory().own_bytes();
    for (int i = 0; i < 50; ++i) {
        guest.call(fork, "touch", {0, 7000});
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().exits - exits, 50u);  // no full ring
    EXPECT_EQ(fork.memory().own_bytes(), dirty);
}

// Also when the limit is no power of two.
TEST(Fork, WhatMaxRequestMemoryAllowsFitsInTheRing) {
    Options options;
    options.max_request_memory = 24 * MiB;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    constexpr std::uint64_t pages = 24 * MiB / page_size - 100;
    for (int i = 0; i < 4; ++i) {
        const std::uint64_t exits = fork.statistics().exits;
        EXPECT_EQ(guest.call(fork, "touch", {0, pages}), pages);
        EXPECT_EQ(fork.statistics().exits - exits, 1u) << i;
        fork.reset();
    }
}

TEST(Vm, HasADirtyRingForThePagesAskedFor) {
    const std::size_t most = kvm::System::instance().most_dirty_ring_entries();
    EXPECT_GE(most, 2048u);
    for (const std::size_t pages : {std::size_t{0}, std::size_t{2048}, std::size_t{2049}, std::size_t{12288},
                                    std::size_t{16384}, std::size_t{65535}, std::size_t{65537}, ~std::size_t{0}}) {
        const std::size_t entries = kvm::Vm(pages).dirty_ring_entries();
        EXPECT_TRUE(std::has_single_bit(entries)) << entries;
        EXPECT_GE(entries, std::min(pages, most)) << pages;
        EXPECT_LT(entries / 2, std::max<std::size_t>(pages, 2048)) << pages;
        EXPECT_LE(entries, most) << pages;
    }
}

TEST(Fork, ExhaustingMemoryNamesTheLimit) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    std::string error = error_of<OutOfMemory>([&] { guest.call(fork, "allocate_all"); });
    EXPECT_NE(error.find("max_request_memory"), std::string::npos) << error;
    fork.reset();
    EXPECT_EQ(guest.call(fork, "count"), 101u);
    EXPECT_EQ(guest.call(fork, "sum", {0, 100}), 128u);
}

TEST(Fork, GeneratedCodeRunsAndTheForkIsBuiltAnew) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "generate_code"), 42u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "count"), 101u);
    }
    EXPECT_EQ(fork.statistics().rebuilds, 3u);
}

// Page tables a request needed beyond the snapshot's must not be lost under a reset.
TEST(Fork, MappingsFarApartLeaveTheForkUsable) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        EXPECT_GT(guest.call(fork, "map_far_apart", {190, 0}), 10u);
        fork.reset();
        EXPECT_GT(guest.call(fork, "map_far_apart", {20, 1}), 10u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "count"), 101u);
        fork.reset();
    }
}

TEST(Fork, AddressSpaceOneRequestUsedUpIsThereForTheNext) {
    Options options;
    options.max_address_space = 256 * MiB;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    guest.call(fork, "map_far_apart", {4000, 1});
    fork.reset();
    EXPECT_EQ(guest.call(fork, "map_amount", {32 * MiB}), 1u);
}

TEST(Fork, DiscardedPagesAreZeroAndBackAfterReset) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "discard_every_other"), 64u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "sum", {0, 64}), 128u);
    }
}

TEST(Fork, MemoryThatMovesIsNeededOnce) {
    constexpr std::uint64_t size = std::uint64_t{5} << 20, more = std::uint64_t{6} << 20;
    Options options;
    options.max_request_memory = std::size_t{8} << 20;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    const std::uint64_t from = guest.call(fork, "linux_call", {SYS_mmap, 0, size, 3, MAP_PRIVATE | MAP_ANONYMOUS});
    guest.call(fork, "linux_call", {SYS_mmap, from + size, page_size, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED});
    guest.call(fork, "touch_range", {from, from + size});
    const std::uint64_t to = guest.call(fork, "linux_call", {SYS_mremap, from, size, more, MREMAP_MAYMOVE});
    ASSERT_NE(to, from);  // there was no room to grow
    ASSERT_LT(to, std::uint64_t{1} << 47);
    EXPECT_EQ(guest.call(fork, "read_from", {to}), 1u);
    EXPECT_EQ(guest.call(fork, "read_from", {to + size - page_size}), 1u);
    EXPECT_EQ(guest.call(fork, "read_from", {to + size}), 0u);
    EXPECT_THROW(guest.call(fork, "read_from", {from}), GuestFault);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

TEST(Fork, ProcessorTimeStartsAnew) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    guest.call(fork, "cpu_time", {1000000});
    fork.reset();
    const std::uint64_t recycled = guest.call(fork, "cpu_time", {0});
    Fork fresh(guest.snapshot);
    EXPECT_EQ(recycled, guest.call(fresh, "cpu_time", {0}));
}

TEST(Fork, AResetThatFailsLeavesStatisticsReadable) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    guest.call(fork, "generate_code");  // the reset will have to build a new VM
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit none{3, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    EXPECT_THROW(fork.reset(), MachineError);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_GE(fork.statistics().exits, 1u);
    fork.interrupt();
}

TEST(Fork, ProtectionsCanBeNarrowedAndWidened) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "reprotect"), 1u);
}

TEST(Fork, ResetAndCallOnDifferentThreads) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 20; ++i) {
        std::thread([&] { EXPECT_EQ(guest.call(fork, "tls"), 8u); }).join();
        std::thread([&] { fork.reset(); }).join();
    }
}

TEST(Fork, SnapshotOutlivesItsMachineAndForksOutliveTheirMaker) {
    std::unique_ptr<Fork> fork;
    test::Calls calls;
    {
        BootedGuest guest("worker");
        fork = std::make_unique<Fork>(guest.snapshot);
        calls.functions = guest.calls.functions;
    }
    const std::uint64_t arguments[] = {1, 2};
    EXPECT_EQ(fork->call(calls.functions.at("add"), arguments, calls, patience()).reason, Stop::Reason::host_call);
}

TEST(Fork, ManyForksLiveAtATime) {
    BootedGuest guest("worker");
    std::vector<std::unique_ptr<Fork>> forks;
    for (int i = 0; i < 50; ++i) forks.push_back(std::make_unique<Fork>(guest.snapshot));
    for (auto& fork : forks) EXPECT_EQ(guest.call(*fork, "count"), 101u);
}

// KVM locks each mapping of the process for every VM it makes. These are the clock page, the image, zero memory, the
// addresses that are left, and what the vCPU shares.
TEST(Fork, ThatOfAStaticProgramIsFiveMappings) {
    const auto mappings = [] {
        std::ifstream maps("/proc/self/maps");
        return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
    };
    BootedGuest guest("appetite");
    std::vector<std::unique_ptr<Fork>> forks;
    forks.reserve(20);
    forks.push_back(std::make_unique<Fork>(guest.snapshot));
    const auto before = mappings();
    while (forks.size() < 20) forks.push_back(std::make_unique<Fork>(guest.snapshot));
    EXPECT_LE(mappings() - before, 19 * 5 + 4);  // and what malloc may have mapped
}

TEST(Machine, BootMemoryLimitIsNamed) {
    Options options;
    options.max_memory = 64 * page_size;
    std::string error = error_of<OutOfMemory>([&] { BootedGuest guest("worker", options); });
    EXPECT_NE(error.find("max_memory"), std::string::npos) << error;
}

}  // namespace
}  // namespace tinykvm
