// In-memory files across snapshots, forks and resets, and their limits.
#include "tests/unit/booted_guest.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;

constexpr std::size_t MiB = std::size_t{1} << 20;
constexpr std::uint64_t ways_to_spoil = 14;

TEST(FileMemory, ARequestFindsTheFilesAsTheProgramLeftThem) {
    BootedGuest guest("scratch");
    Fork fork(guest.snapshot);
    const std::uint64_t first = guest.call(fork, "digest");
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t way = 0; way < ways_to_spoil; ++way) {
            EXPECT_EQ(guest.call(fork, "spoil", {way}), 1u) << way;
            fork.reset();
            EXPECT_EQ(guest.call(fork, "digest"), first) << way;
            fork.reset();
        }
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST(FileMemory, ForksDoNotSeeEachOther) {
    BootedGuest guest("scratch");
    Fork a(guest.snapshot), b(guest.snapshot);
    const std::uint64_t first = guest.call(a, "digest");
    for (std::uint64_t way = 0; way < ways_to_spoil; ++way) {
        guest.call(a, "spoil", {way});
        EXPECT_EQ(guest.call(b, "digest"), first) << way;
        a.reset();
        b.reset();
        Fork c(guest.snapshot);
        EXPECT_EQ(guest.call(c, "digest"), first) << way;
    }
}

TEST(FileMemory, AFullFileSystemIsAnErrorAndLeavesNothing) {
    Options options;
    options.max_request_memory = 16 * MiB;
    BootedGuest guest("scratch", options);
    Fork fork(guest.snapshot);
    const std::uint64_t room = guest.call(fork, "available");
    fork.reset();
    EXPECT_GT(room, 14 * MiB);
    EXPECT_LE(room, 15 * MiB);
    const std::uint64_t filled = guest.call(fork, "fill");
    EXPECT_GT(filled, 14 * MiB);
    EXPECT_LE(filled, 15 * MiB);
    for (int i = 0; i < 5; ++i) {
        fork.reset();
        EXPECT_EQ(guest.call(fork, "zeros"), 0u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "available"), room);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "fill"), filled);
    }
}

TEST(FileMemory, NamesAreCounted) {
    Options options;
    options.max_request_memory = 16 * MiB;
    BootedGuest guest("scratch", options);
    Fork fork(guest.snapshot);
    const std::uint64_t made = guest.call(fork, "many", {1'000'000});
    EXPECT_GT(made, 10'000u);
    EXPECT_LT(made, 60'000u);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "many", {1'000'000}), made);
}

TEST(FileMemory, UnusedFilesCostNothing) {
    BootedGuest guest("scratch");
    Fork fork(guest.snapshot);
    guest.call(fork, "digest");
    fork.reset();
    const Statistics before = fork.statistics();
    guest.call(fork, "available");
    fork.reset();
    EXPECT_LE(fork.statistics().pages_restored - before.pages_restored, 4u);
}

}  // namespace
}  // namespace tinykvm
