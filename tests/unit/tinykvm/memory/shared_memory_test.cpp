// Memory that all VMs of a program share.
#include <sys/mman.h>
#include <sys/syscall.h>

#include <thread>

#include "tests/unit/polled_fork.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;
using test::patience;
using test::PolledFork;

constexpr std::size_t MiB = std::size_t{1} << 20;

Options with_shared_memory(std::size_t size = MiB) {
    Options options;
    options.shared_memory = size;
    return options;
}

std::int64_t linux_call(BootedGuest& guest, Fork& fork, std::vector<std::uint64_t> arguments) {
    return static_cast<std::int64_t>(guest.call(fork, "linux_call", std::move(arguments)));
}

TEST(SharedMemory, IsNotThereUnlessAskedFor) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_EQ(fork.memory().shared().begin, 0u);
    EXPECT_EQ(fork.memory().shared().end, 0u);
}

TEST(SharedMemory, IsZeroAtFirstAndOfTheSizeAskedFor) {
    BootedGuest guest("worker", with_shared_memory(3 * MiB));
    Fork fork(guest.snapshot);
    const SharedArea& area = fork.memory().shared();
    ASSERT_EQ(area.end - area.begin, 3 * MiB);
    EXPECT_EQ(fork.memory().read_bytes(area.begin, 3 * MiB), std::string(3 * MiB, '\0'));
    EXPECT_FALSE(fork.memory().is_readable(area.end, 1));
}

TEST(SharedMemory, WhatAProgramWritesWhileItBootsItsForksSee) {
    auto program = Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/worker");
    test::Calls calls;
    Machine machine(program, with_shared_memory());
    ASSERT_EQ(machine.run(&calls, patience()).reason, Stop::Reason::host_call);
    ASSERT_TRUE(machine.memory().write(machine.memory().shared().begin + 5000, std::uint64_t{42}));
    Fork fork(std::move(machine).freeze());
    std::uint64_t value = 0;
    ASSERT_TRUE(fork.memory().read(fork.memory().shared().begin + 5000, value));
    EXPECT_EQ(value, 42u);
}

TEST(SharedMemory, OutlivesResetsNewVmsAndFailures) {
    BootedGuest guest("worker", with_shared_memory());
    Fork a(guest.snapshot), b(guest.snapshot);
    const GuestAddr at = a.memory().shared().begin + 8;
    ASSERT_EQ(b.memory().shared().begin + 8, at);
    guest.call(a, "write_to", {at, 7});
    EXPECT_EQ(guest.call(b, "read_from", {at}), 7u);
    a.reset();
    EXPECT_EQ(guest.call(a, "read_from", {at}), 7u);
    EXPECT_EQ(a.statistics().rebuilds, 0u);

    guest.call(a, "generate_code");  // such a VM is built anew
    a.reset();
    EXPECT_EQ(a.statistics().rebuilds, 1u);
    EXPECT_EQ(guest.call(a, "read_from", {at}), 7u);

    const std::uint64_t arguments[] = {at, 9};
    EXPECT_THROW(a.call(guest.calls.functions.at("write_and_crash"), arguments, guest.calls, patience()), GuestFault);
    a.reset();
    EXPECT_EQ(guest.call(a, "read_from", {at}), 9u);
    EXPECT_EQ(guest.call(b, "read_from", {at}), 9u);
    EXPECT_EQ(guest.call(*std::make_unique<Fork>(guest.snapshot), "read_from", {at}), 9u);
}

TEST(SharedMemory, AnotherBootHasMemoryOfItsOwn) {
    BootedGuest one("worker", with_shared_memory()), two("worker", with_shared_memory());
    Fork a(one.snapshot), b(two.snapshot);
    one.call(a, "write_to", {a.memory().shared().begin, 1});
    EXPECT_EQ(two.call(b, "read_from", {b.memory().shared().begin}), 0u);
}

TEST(SharedMemory, CountsInNoLimitAndIsNotRestored) {
    Options options = with_shared_memory(16 * MiB);
    options.max_request_memory = MiB;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    const SharedArea area = fork.memory().shared();
    for (int round = 0; round < 3; ++round) {
        for (GuestAddr at = area.begin; at < area.end; at += 64 * page_size) guest.call(fork, "write_to", {at, 3});
        ASSERT_TRUE(fork.memory().write(area.begin + page_size, std::string(2 * MiB, 'x').data(), 2 * MiB));
        EXPECT_LT(fork.memory().changed_bytes(), MiB);
        const std::uint64_t restored = fork.statistics().pages_restored;
        fork.reset();
        EXPECT_LT(fork.statistics().pages_restored - restored, 64u);
        EXPECT_EQ(guest.call(fork, "read_from", {area.end - 64 * page_size}), 3u);
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

// More pages than fit in the ring of changed pages.
TEST(SharedMemory, AllOfItCanBeWrittenAtOnce) {
    Options options = with_shared_memory(32 * MiB);
    options.max_request_memory = MiB;
    BootedGuest guest("worker", options);
    Fork fork(guest.snapshot);
    const SharedArea area = fork.memory().shared();
    EXPECT_EQ(guest.call(fork, "touch_range", {area.begin, area.end}), (area.end - area.begin) / page_size);
    EXPECT_LT(fork.memory().changed_bytes(), MiB);
}

TEST(SharedMemory, CannotBeTakenAwayOrChangedInKind) {
    BootedGuest guest("worker", with_shared_memory());
    Fork fork(guest.snapshot), other(guest.snapshot);
    const GuestAddr begin = fork.memory().shared().begin;
    guest.call(fork, "write_to", {begin + 4096, 5});
    const auto refused = [&](std::vector<std::uint64_t> arguments) {
        return linux_call(guest, fork, std::move(arguments)) == -EPERM;
    };
    EXPECT_TRUE(refused({SYS_munmap, begin, 4096}));
    EXPECT_TRUE(refused({SYS_munmap, begin - 2 * MiB, 8 * MiB}));
    EXPECT_TRUE(refused({SYS_mprotect, begin, 4096, PROT_NONE}));
    EXPECT_TRUE(refused({SYS_mprotect, begin, 4096, PROT_READ | PROT_WRITE | PROT_EXEC}));
    EXPECT_TRUE(refused({SYS_mremap, begin, 4096, 8192, MREMAP_MAYMOVE}));
    EXPECT_TRUE(refused({SYS_mremap, begin, MiB, 4096, 0}));
    EXPECT_TRUE(refused({SYS_mmap, begin + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}));
    EXPECT_EQ(linux_call(guest, fork, {SYS_madvise, begin, MiB, MADV_DONTNEED}), 0);
    EXPECT_EQ(linux_call(guest, fork, {SYS_madvise, begin, MiB, MADV_FREE}), -EINVAL);
    EXPECT_EQ(guest.call(fork, "read_from", {begin + 4096}), 5u);
    EXPECT_EQ(guest.call(other, "read_from", {begin + 4096}), 5u);
    const std::uint64_t argument[] = {begin};
    const auto run = [&] { fork.call(guest.calls.functions.at("execute"), argument, guest.calls, patience()); };
    EXPECT_NE(error_of<GuestFault>(run).find("execute"), std::string::npos);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "read_from", {begin + 4096}), 5u);
}

// Reset undoes mappings in as few calls as it can, over what lies between them.
TEST(SharedMemory, IsKeptWhenMappingsAroundItAreUndone) {
    BootedGuest guest("worker", with_shared_memory(2 * MiB));
    Fork fork(guest.snapshot);
    const SharedArea area = fork.memory().shared();
    for (int round = 0; round < 3; ++round) {
        for (const GuestAddr at : {area.begin - 4096, area.end}) {
            ASSERT_EQ(linux_call(guest, fork,
                                 {SYS_mmap, at, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}),
                      static_cast<std::int64_t>(at));
            guest.call(fork, "write_to", {at, 1});
        }
        guest.call(fork, "increment", {area.begin + MiB, 1});
        fork.reset();
        EXPECT_EQ(guest.call(fork, "read_from", {area.begin + MiB}), 1u + static_cast<unsigned>(round));
        EXPECT_FALSE(fork.memory().is_readable(area.end, 1));
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST(SharedMemory, ForksThatCountAtTheSameTimeLoseNothing) {
    BootedGuest guest("worker", with_shared_memory());
    constexpr std::uint64_t forks = 3, rounds = 20, times = 1000;
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < forks; ++i)
        threads.emplace_back([&guest] {
            test::Calls calls;
            Fork fork(guest.snapshot);
            const std::uint64_t arguments[] = {fork.memory().shared().begin, times};
            for (std::uint64_t round = 0; round < rounds; ++round) {
                fork.call(guest.calls.functions.at("increment"), arguments, calls, patience());
                fork.reset();
            }
        });
    for (auto& thread : threads) thread.join();
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "read_from", {fork.memory().shared().begin}), forks * rounds * times);
}

TEST(SharedMemory, AStringThatChangesWhileItIsReadHasNoZeroInIt) {
    BootedGuest guest("worker", with_shared_memory());
    Fork writer(guest.snapshot), reader(guest.snapshot);
    const GuestAddr at = reader.memory().shared().begin;
    std::thread thread([&] {
        test::Calls calls;
        const std::uint64_t argument[] = {at};
        EXPECT_THROW(writer.call(guest.calls.functions.at("change_string"), argument, calls, patience()), Interrupted);
    });
    // Until both kinds have been seen, and then some.
    std::size_t empty = 0, full = 0;
    for (int i = 0; i < 200000 || (empty == 0 || full == 0); ++i) {
        const auto text = reader.memory().read_string(at, 4096);
        ASSERT_TRUE(text.has_value());
        ASSERT_EQ(text->find('\0'), std::string::npos);
        ++(text->empty() ? empty : full);
    }
    writer.interrupt();
    thread.join();
}

TEST(SharedMemory, TooMuchIsAnErrorThatNamesIt) {
    auto program = Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/worker");
    Options options = with_shared_memory(200 * MiB);
    options.max_address_space = 100 * MiB;
    const auto boot = [&] { Machine machine(program, options); };
    EXPECT_NE(error_of<LoadError>(boot).find("shared_memory"), std::string::npos);
}

TEST(HostCalls, CanHaveTwoValues) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "take_pair", {10}), 1u);
}

TEST(HostCalls, CanHaveTwoValuesInAGuestThatWaits) {
    BootedGuest guest("worker");
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled);
    ASSERT_TRUE(polled.post("take_pair", {10}));
    polled.listen();
    polled.join();
    EXPECT_EQ(polled.error, "");
    EXPECT_EQ(guest.calls.answer, 1u);
}

}  // namespace
}  // namespace tinykvm
