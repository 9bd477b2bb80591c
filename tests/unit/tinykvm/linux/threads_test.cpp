// Threads: making and ending them, what is switched with them, and that requests see those of the snapshot.
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>

#include <csignal>
#include <random>

#include "tests/unit/linux_process.hpp"
#include "tests/unit/polled_fork.hpp"

namespace tinykvm {
namespace {

using linux_abi::Outcome;
using test::BootedGuest;
using test::error_of;
using test::in_seconds;
using test::LinuxProcess;
using test::patience;
using test::PolledFork;

constexpr GuestAddr arena = LinuxProcess::arena;
constexpr std::uint64_t thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

class ThreadsTest : public testing::Test {
  protected:
    std::int64_t clone(std::uint64_t flags, std::uint64_t stack = 0, GuestAddr parent_id = 0, GuestAddr child_id = 0,
                       std::uint64_t tls = 0) {
        return guest.call(SYS_clone, {flags, stack, parent_id, child_id, tls});
    }
    int running() { return guest.process.state().thread.id; }
    std::size_t parked() { return guest.process.state().parked.size(); }

    LinuxProcess guest;
};

TEST_F(ThreadsTest, EachFlagDoesWhatItSays) {
    guest.pointers.fs_base = 0x1111;
    guest.put_value(std::uint64_t{0}, arena);
    EXPECT_EQ(clone(thread_flags, 0x123456, arena, arena + 8, 0x2222), 3);
    EXPECT_TRUE(guest.untouched(arena + 8, 8));
    EXPECT_EQ(guest.get<std::uint64_t>(arena), 0u);
    EXPECT_EQ(clone(thread_flags | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
                    0x234560, arena, arena + 8, 0x2222),
              4);
    EXPECT_EQ(guest.get<std::int32_t>(arena), 4);
    EXPECT_EQ(guest.get<std::int32_t>(arena + 8), 4);
    EXPECT_EQ(guest.pointers.fs_base, 0x1111u);

    // The first one runs. It has the thread pointer of the thread that made it, because no other was asked for.
    guest.registers.rbx = 5;
    guest.vectors.image[0] = std::byte{1};
    const Registers main = guest.registers;
    EXPECT_EQ(guest.call(SYS_sched_yield), 0);
    EXPECT_EQ(running(), 3);
    EXPECT_EQ(guest.registers.rsp, 0x123456u);
    EXPECT_EQ(guest.registers.rip, main.rip);
    EXPECT_EQ(guest.registers.rbx, 0u);
    EXPECT_EQ(guest.vectors.image[0], std::byte{0});
    EXPECT_EQ(guest.pointers.fs_base, 0x1111u);
    EXPECT_EQ(guest.call(SYS_gettid), 3);
    EXPECT_EQ(guest.call(SYS_getpid), linux_abi::first_process_id);
    EXPECT_EQ(guest.call(SYS_exit), 0);
    EXPECT_EQ(running(), 4);
    EXPECT_EQ(guest.pointers.fs_base, 0x2222u);
    EXPECT_EQ(guest.registers.rsp, 0x234560u);
    // Main waits for the end of the second; its word becomes zero, and that wakes.
    guest.call(SYS_sched_yield);
    EXPECT_EQ(running(), 2);
    EXPECT_EQ(guest.registers.rbx, 5u);
    EXPECT_EQ(guest.registers.rsp, main.rsp);
    EXPECT_EQ(guest.vectors.image[0], std::byte{1});
    guest.call(SYS_futex, {arena + 8, FUTEX_WAIT, 4, 0});
    EXPECT_EQ(running(), 4);
    guest.call(SYS_exit);
    EXPECT_EQ(running(), 2);
    EXPECT_EQ(guest.registers.rax, 0u);
    EXPECT_EQ(guest.get<std::int32_t>(arena + 8), 0);
    EXPECT_EQ(parked(), 0u);
    // The last one ends the process.
    guest.call(SYS_exit, {9});
    EXPECT_EQ(guest.outcome.next, Outcome::Next::exit);
    EXPECT_EQ(guest.outcome.exit_status, 9);
}

TEST_F(ThreadsTest, WhatIsNoThreadIsRefused) {
    EXPECT_EQ(clone(SIGCHLD), -ENOSYS) << "fork";
    EXPECT_EQ(clone(CLONE_VM | CLONE_VFORK | SIGCHLD), -ENOSYS) << "vfork";
    EXPECT_EQ(clone(CLONE_THREAD), -EINVAL);
    EXPECT_EQ(clone(CLONE_SIGHAND), -EINVAL);
    EXPECT_EQ(clone(thread_flags & ~static_cast<std::uint64_t>(CLONE_FILES)), -ENOSYS);
    EXPECT_EQ(clone(thread_flags | CLONE_NEWPID), -ENOSYS);
    EXPECT_EQ(clone(thread_flags | CLONE_SETTLS, 0, 0, 0, x86::user_end), -EPERM);
    EXPECT_EQ(clone(thread_flags | CLONE_SETTLS, 0, 0, 0, 0x8000000000000000), -EPERM);
    std::array<std::uint64_t, 12> arguments{};
    const auto clone3 = [&](std::uint64_t size = 88) {
        return guest.call(SYS_clone3, {guest.put_value(arguments, arena), size});
    };
    EXPECT_EQ(clone3(), -ENOSYS);
    EXPECT_EQ(clone3(63), -EINVAL);
    EXPECT_EQ(clone3(~std::uint64_t{0}), -E2BIG);
    EXPECT_EQ(guest.call(SYS_clone3, {0xdead0000, 88}), -EFAULT);
    arguments[0] = thread_flags;
    arguments[11] = 1;  // after the fields that are known
    EXPECT_EQ(clone3(96), -E2BIG);
    arguments[4] = SIGCHLD;
    EXPECT_EQ(clone3(), -EINVAL) << "threads send no signal when they end";
    arguments[4] = 0;
    arguments[5] = 0x1000;
    EXPECT_EQ(clone3(), -EINVAL) << "a stack without a size";
    arguments[6] = ~std::uint64_t{0};
    EXPECT_EQ(clone3(), -EINVAL);
    EXPECT_EQ(parked(), 0u);
    arguments[6] = 0x2000;
    EXPECT_EQ(clone3(64), 3);
    EXPECT_EQ(guest.process.state().parked.at(0).registers.rsp, 0x3000u);
}

TEST(ThreadLimit, IsAnOptionAndNamedOnce) {
    std::vector<std::string> warnings;
    Options options;
    options.max_threads = 3;
    options.warn = [&](std::string_view line) { warnings.emplace_back(line); };
    LinuxProcess guest(options);
    EXPECT_EQ(guest.call(SYS_clone, {thread_flags}), 3);
    EXPECT_EQ(guest.call(SYS_clone, {thread_flags}), 4);
    EXPECT_EQ(guest.call(SYS_clone, {thread_flags}), -EAGAIN);
    EXPECT_EQ(guest.call(SYS_clone, {thread_flags}), -EAGAIN);
    EXPECT_EQ(warnings, std::vector<std::string>{"clone failed: no more than 3 threads at a time (max_threads)"});
}

TEST(OpenFileLimit, IsAnOptionAndNamedOnce) {
    std::vector<std::string> warnings;
    Options options;
    options.max_open_files = 20;
    options.warn = [&](std::string_view line) { warnings.emplace_back(line); };
    LinuxProcess guest(options);
    for (std::uint64_t fd = 3; fd < 20; ++fd) EXPECT_EQ(guest.call(SYS_dup, {0}), static_cast<std::int64_t>(fd));
    EXPECT_EQ(guest.call(SYS_dup, {0}), -EMFILE);
    EXPECT_EQ(guest.call(SYS_epoll_create1), -EMFILE);
    EXPECT_EQ(warnings, std::vector<std::string>{"dup failed: no more than 20 open files (max_open_files)"});
}

// It is not the operator's limit that a program meets then.
TEST(OpenFileLimit, ThatTheProgramHasSetItselfIsNotNamed) {
    std::vector<std::string> warnings;
    Options options;
    options.warn = [&](std::string_view line) { warnings.emplace_back(line); };
    LinuxProcess guest(options);
    const std::uint64_t lower[] = {4, 1024};
    EXPECT_EQ(guest.call(SYS_setrlimit, {7, guest.put_value(lower)}), 0);  // RLIMIT_NOFILE
    EXPECT_EQ(guest.call(SYS_dup, {0}), 3);
    EXPECT_EQ(guest.call(SYS_dup, {0}), -EMFILE);
    EXPECT_TRUE(warnings.empty());
}

TEST(AddressSpaceLimit, IsNamedOnce) {
    std::vector<std::string> warnings;
    Options options;
    options.max_address_space = std::size_t{1} << 30;  // as test::LinuxProcess has it
    options.warn = [&](std::string_view line) { warnings.emplace_back(line); };
    LinuxProcess guest(options);
    const auto map = [&](std::uint64_t size, int protection) {
        return guest.call(SYS_mmap, {0, size, static_cast<std::uint64_t>(protection), MAP_PRIVATE | MAP_ANONYMOUS,
                                     ~std::uint64_t{0}, 0});
    };
    const std::int64_t reserved = map(std::uint64_t{2} << 30, PROT_NONE);
    EXPECT_GT(reserved, 0);
    EXPECT_TRUE(warnings.empty());
    EXPECT_EQ(map(std::uint64_t{2} << 30, PROT_READ), -ENOMEM);
    EXPECT_EQ(guest.call(SYS_mprotect, {static_cast<std::uint64_t>(reserved), std::uint64_t{2} << 30, PROT_READ}),
              -ENOMEM);
    EXPECT_EQ(warnings,
              std::vector<std::string>{"mmap failed: no more than 1024 MiB may be mapped for access (address_space)"});
}

TEST_F(ThreadsTest, NumbersAndTheirCount) {
    std::size_t count = 1;
    while (clone(thread_flags) > 0) ++count;
    EXPECT_EQ(count, Options().max_threads);
    EXPECT_EQ(clone(thread_flags), -EAGAIN);
    EXPECT_EQ(guest.call(SYS_exit), 0);
    EXPECT_EQ(running(), 3);
    EXPECT_EQ(clone(thread_flags), 66) << "numbers are not used again soon";
    guest.process.state().next_thread_id = 4194303;
    guest.call(SYS_exit);
    EXPECT_EQ(clone(thread_flags), 4194303);
    guest.call(SYS_exit);
    EXPECT_EQ(clone(thread_flags), 3) << "the first that nobody has";
}

TEST_F(ThreadsTest, FutexesWakeInOrderAndMoveToOthers) {
    const GuestAddr first = guest.put_value(std::int32_t{1}, arena),
                    second = guest.put_value(std::int32_t{2}, arena + 8);
    for (int i = 0; i < 4; ++i) clone(thread_flags);
    // Threads 2, 3, 4 and 5 wait; 6 wakes.
    guest.call(SYS_futex, {first, FUTEX_WAIT_BITSET, 1, 0, 0, 1});
    guest.call(SYS_futex, {first, FUTEX_WAIT_BITSET, 1, 0, 0, 2});
    guest.call(SYS_futex, {first, FUTEX_WAIT, 1, 0});
    guest.call(SYS_futex, {first, FUTEX_WAIT, 1, 0});
    ASSERT_EQ(running(), 6);
    EXPECT_EQ(guest.call(SYS_futex, {second, FUTEX_WAKE, 10}), 0) << "another word";
    EXPECT_EQ(guest.call(SYS_futex, {first, FUTEX_WAKE_BITSET, 1, 0, 0, 2}), 1);
    EXPECT_EQ(guest.call(SYS_futex, {first, FUTEX_CMP_REQUEUE, 1, 10, second, 7}), -EAGAIN);
    EXPECT_EQ(guest.call(SYS_futex, {first, FUTEX_CMP_REQUEUE, 1, 10, second, 1}), 3) << "one woken, two moved";
    EXPECT_EQ(guest.call(SYS_futex, {first, FUTEX_WAKE, 10}), 0);
    // Adds 3 to the second word; it was 2, so the thread that waits there is woken, too.
    const std::uint64_t operation = std::uint64_t{FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 2)} & 0xffffffff;
    EXPECT_EQ(guest.call(SYS_futex, {first, FUTEX_WAKE_OP, 1, 1, second, operation}), 1);
    EXPECT_EQ(guest.get<std::int32_t>(second), 5);
    EXPECT_EQ(guest.call(SYS_futex, {second, FUTEX_WAKE, 10}), 1);
    guest.call(SYS_sched_yield);
    EXPECT_EQ(running(), 2);
    EXPECT_EQ(guest.registers.rax, 0u);
}

TEST_F(ThreadsTest, ASignalGoesToWhomItIsFor) {
    const linux_abi::SignalAction action{0x401000, 0x04000000 | SA_RESTART, 0x402000, 0};
    guest.call(SYS_rt_sigaction, {SIGURG, guest.put_value(action), 0, 8});
    clone(thread_flags, LinuxProcess::stack - 0x20000);
    const auto rip = guest.registers.rip;
    EXPECT_EQ(guest.call(SYS_tgkill, {linux_abi::first_process_id, 3, SIGURG}), 0);
    EXPECT_EQ(guest.registers.rip, rip) << "not to the sender";
    EXPECT_EQ(guest.call(SYS_tgkill, {linux_abi::first_process_id, 4, SIGURG}), -ESRCH);
    EXPECT_EQ(guest.call(SYS_tgkill, {3, 3, SIGURG}), -ESRCH);
    guest.call(SYS_sched_yield);
    EXPECT_EQ(running(), 3);
    EXPECT_EQ(guest.registers.rip, 0x401000u);
    EXPECT_EQ(guest.registers.rdi, static_cast<std::uint64_t>(SIGURG));
    // One for the process goes to the thread that does not block it.
    guest.registers.rsp += 8;
    guest.call(SYS_rt_sigreturn);
    const std::uint64_t mask = linux_abi::signal_bit(SIGURG);
    guest.call(SYS_rt_sigprocmask, {SIG_BLOCK, guest.put_value(mask), 0, 8});
    guest.call(SYS_kill, {linux_abi::first_process_id, SIGURG});
    EXPECT_NE(guest.registers.rip, 0x401000u);
    guest.call(SYS_sched_yield);
    EXPECT_EQ(running(), 2);
    EXPECT_EQ(guest.registers.rip, 0x401000u);
}

TEST_F(ThreadsTest, ARobustListOfAnyShapeEnds) {
    clone(thread_flags);
    // A ring of two entries; the word of the first is this thread's, the other's is not.
    const GuestAddr head = arena, first = arena + 64, second = arena + 128;
    guest.put_value(std::array<std::uint64_t, 3>{first, 16, second}, head);
    guest.put_value(std::array<std::uint64_t, 3>{second, 0, 2 | FUTEX_WAITERS}, first);
    guest.put_value(std::array<std::uint64_t, 3>{first, 0, 9}, second);
    guest.call(SYS_set_robust_list, {head, 24});
    guest.call(SYS_exit);
    EXPECT_EQ(guest.get<std::uint32_t>(first + 16), FUTEX_WAITERS | FUTEX_OWNER_DIED);
    EXPECT_EQ(guest.get<std::uint32_t>(second + 16), 9u);
    for (GuestAddr nowhere : {GuestAddr{1}, GuestAddr{0xdead000}, ~GuestAddr{0}}) {
        clone(thread_flags);
        guest.put_value(std::array<std::uint64_t, 3>{nowhere, ~std::uint64_t{0} - 3, nowhere}, head);
        guest.call(SYS_set_robust_list, {head, 24});
        guest.call(SYS_exit);
    }
}

// --- With a real guest

// What inspect() says.
using View = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
View look(BootedGuest& guest, Fork& fork) {
    guest.call(fork, "inspect");
    return guest.calls.notes;
}

TEST(Threads, EveryRequestSeesTheThreadsOfTheSnapshot) {
    BootedGuest guest("threads");
    Fork fresh(guest.snapshot);
    const View expected = look(guest, fresh);
    ASSERT_EQ(expected.size(), 6u);
    EXPECT_EQ(expected[0].first >> 48, 3u);
    EXPECT_EQ(expected[4].first, 8u) << "the number of a new thread: after those of the snapshot";
    EXPECT_EQ(expected[5].first, 6u);
    Fork fork(guest.snapshot);
    std::mt19937_64 random(11);
    for (std::uint64_t how = 0; how < 24; ++how) {
        const std::uint64_t ends = how % 4 == 3 ? std::uint64_t{16} << random() % 3 : 0;
        const std::uint64_t arguments[] = {(random() & 15) | ends};
        const Deadline deadline = ends == 64 ? in_seconds(0.02) : patience();
        try {
            fork.call(guest.calls.functions.at("dirty"), arguments, guest.calls, deadline);
            ASSERT_TRUE(ends == 0 || ends == 32);
        } catch (const Timeout&) {
            ASSERT_EQ(ends, 64u);
        } catch (const GuestFault& fault) {
            ASSERT_EQ(ends, 16u) << fault.report();
            EXPECT_EQ(fault.details().signal, SIGSEGV);
        }
        fork.reset();
        ASSERT_EQ(look(guest, fork), expected) << how;
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST(Threads, ABombLeavesNothing) {
    BootedGuest guest("threads");
    Fork fork(guest.snapshot);
    const std::size_t descriptors = test::host_descriptors();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "bomb"), Options().max_threads - 6);
        fork.reset();
    }
    EXPECT_EQ(test::host_descriptors(), descriptors);
}

TEST(Threads, ADeadlockEndsAtTheDeadline) {
    BootedGuest guest("threads");
    Fork fork(guest.snapshot);
    for (const char* function : {"deadlock", "spin_all"}) {
        const auto begin = Clock::now();
        EXPECT_THROW(fork.call(guest.calls.functions.at(function), {}, guest.calls, in_seconds(0.05)), Timeout);
        EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(50));
        fork.reset();
    }
    EXPECT_EQ(guest.call(fork, "own_value"), 7u);
}

TEST(Threads, OneThatSpinsDoesNotStarveTheOthers) {
    BootedGuest guest("threads");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "spin_beside"), 1u);
    fork.reset();
    // The request goes on beside it, without a reset too.
    EXPECT_EQ(guest.call(fork, "dirty", {32}), 32u);
    EXPECT_EQ(guest.call(fork, "own_value"), 7u);
    EXPECT_EQ(guest.call(fork, "spin_beside"), 1u);
}

TEST(Threads, AnyThreadMayAnswerAndTheNextCallIsOnTheOneThatWaited) {
    BootedGuest guest("threads");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "answer_from_pool"), 103u);
    EXPECT_EQ(guest.call(fork, "own_value"), 7u);
    EXPECT_EQ(guest.call(fork, "own_value"), 8u);
    EXPECT_EQ(guest.call(fork, "answer_from_pool"), 104u);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "own_value"), 7u);
}

TEST(Threads, AreInCallsOfAProgramThatBoots) {
    test::Calls calls;
    Machine machine(Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/threads"), {});
    machine.run(&calls, patience());
    machine.call(calls.functions.at("answer_from_pool"), {}, calls, patience());
    EXPECT_EQ(calls.answer, 103u);
    machine.call(calls.functions.at("own_value"), {}, calls, patience());
    EXPECT_EQ(calls.answer, 7u);
    auto snapshot = std::move(machine).freeze();
    Fork fork(snapshot);
    for (int i = 0; i < 2; ++i) {
        fork.call(calls.functions.at("own_value"), {}, calls, patience());
        EXPECT_EQ(calls.answer, 8u);
        fork.reset();
    }
}

TEST(Threads, AreInCallsThroughTheMailbox) {
    BootedGuest guest("threads");
    Fork fresh(guest.snapshot);
    const View expected = look(guest, fresh);
    PolledFork polled(guest);
    for (int i = 0; i < 2; ++i) {
        WAIT_OR_SKIP(polled);
        ASSERT_TRUE(polled.post("dirty", {i % 2 ? 3u : 35u}));
        polled.listen();
        polled.join();
        EXPECT_EQ(polled.error, "");
        polled.fork.reset();
        ASSERT_TRUE(polled.wait());
        ASSERT_TRUE(polled.post("inspect", {}));
        polled.listen();
        polled.join();
        EXPECT_EQ(guest.calls.notes, expected);
        polled.fork.reset();
        // Calls through the mailbox while another thread takes its turns.
        ASSERT_TRUE(polled.wait());
        ASSERT_TRUE(polled.post("many_notes", {100}));
        polled.listen();
        polled.join();
        EXPECT_EQ(polled.error, "");
        ASSERT_EQ(guest.calls.notes.size(), 100u);
        for (std::uint64_t n = 0; n < 100; ++n) ASSERT_EQ(guest.calls.notes[n].first, n);
        polled.fork.reset();
        // Answered by a thread that was not called.
        ASSERT_TRUE(polled.wait());
        ASSERT_TRUE(polled.post("answer_from_pool", {}));
        polled.listen(test::long_wait);
        polled.fork.wake();
        polled.join();
        EXPECT_EQ(guest.calls.answer, 103u);
        polled.fork.reset();
    }
}

}  // namespace
}  // namespace tinykvm
