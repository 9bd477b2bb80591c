// Several CPUs that work for one call: what they compute, how they fail, and that nothing of them is left after a
// reset.
#include <dirent.h>

#include <random>
#include <set>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/polled_fork.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;
using test::in_seconds;
using test::patience;
using test::PolledFork;
using test::with_cpus;

constexpr std::size_t MiB = std::size_t{1} << 20;

constexpr std::uint64_t sum_below(std::uint64_t n) { return n * (n - 1) / 2; }

class FurtherVcpusTest : public testing::TestWithParam<unsigned> {
  protected:
    unsigned cpus() const { return GetParam(); }
    BootedGuest guest{"cpus", with_cpus(GetParam())};
    Fork fork{guest.snapshot};
};
INSTANTIATE_TEST_SUITE_P(Cpus, FurtherVcpusTest, testing::Values(2U, 3U, most_cpus));

// The same guest on a single CPU.
TEST(FurtherVcpus, ASingleCpuFindsPagesOfFilesAsNewToo) {
    BootedGuest guest("cpus");
    Fork fork(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "share_file"), 0u);
        fork.reset();
    }
}

TEST(FurtherVcpus, AreNoneUnlessTheyAreAskedFor) {
    BootedGuest guest("cpus");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "count"), static_cast<std::uint64_t>(-1));
}

TEST_P(FurtherVcpusTest, ComputeAKnownSum) {
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(guest.call(fork, "sum", {1 << 20}), sum_below(1 << 20));
        EXPECT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000));
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST_P(FurtherVcpusTest, RunAtTheSameTime) {
    // Each waits until all of them have begun.
    EXPECT_EQ(guest.call(fork, "increment", {20000}), 20000u * cpus());
    fork.reset();
    EXPECT_EQ(guest.call(fork, "increment", {10}), 10u * cpus());
}

TEST_P(FurtherVcpusTest, ComputeTheSameAsOne) {
    EXPECT_EQ(guest.call(fork, "compute_on_all", {300000}), guest.call(fork, "compute_here", {cpus(), 300000}));
    EXPECT_GT(fork.statistics().further_cpu_time, 0u);
}

TEST_P(FurtherVcpusTest, WriteToTheSamePagesForTheFirstTime) {
    Fork sibling(guest.snapshot);
    for (std::uint64_t i = 0; i < 5; ++i) {
        Fork fresh(guest.snapshot);
        EXPECT_EQ(guest.call(fresh, "mark", {40 + i}), 0u);
        EXPECT_EQ(guest.call(fork, "mark", {80 + i}), 0u);
        EXPECT_EQ(guest.call(sibling, "unmarked"), 0u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST(FurtherVcpus, OfSiblingsWriteAtTheSameTime) {
    BootedGuest guest("cpus", with_cpus(2));
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (std::uint64_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            test::Calls calls;
            Fork fork(guest.snapshot);
            for (std::uint64_t i = 0; i < 20; ++i) {
                const std::uint64_t tag[] = {20 * t + i};
                (void)fork.call(guest.calls.functions.at("mark"), tag, calls, patience());
                wrong += calls.answer != 0;
                fork.reset();
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST_P(FurtherVcpusTest, AnswerAboutWhatCannotBe) {
    EXPECT_EQ(guest.call(fork, "count"), static_cast<std::uint64_t>(-3));  // address 0
    EXPECT_EQ(guest.call(fork, "wrong_function", {0xFFFF800000000000}), static_cast<std::uint64_t>(-3));
    EXPECT_EQ(guest.call(fork, "begin_twice"), static_cast<std::uint64_t>(-2));
    EXPECT_EQ(guest.call(fork, "sum", {10}), sum_below(10));
}

TEST_P(FurtherVcpusTest, HaveStacksOfTheirOwn) { EXPECT_EQ(guest.call(fork, "stacks_of_cpus"), 0u); }

TEST_P(FurtherVcpusTest, GoOnWhereTheirCallerDoes) {
    const std::uint64_t n = cpus(), seed = 1000;
    EXPECT_EQ(guest.call(fork, "clone_all", {seed}), n * seed + sum_below(n));
    fork.reset();
    EXPECT_EQ(guest.call(fork, "clone_all", {seed}), n * seed + sum_below(n));
}

TEST_P(FurtherVcpusTest, SeeWhatTheFirstOneMapsAndUnmaps) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "remap", {20}), 0u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "add_rights"), sum_below(cpus()));
        fork.reset();
    }
}

TEST_P(FurtherVcpusTest, TouchSharedPagesOfFiles) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "share_file"), 0u);
        fork.reset();
    }
}

// --- Failures

struct Misbehaviour {
    std::uint64_t kind;
    const char* report;
};
constexpr Misbehaviour misbehaviours[] = {
    {0, "page fault at 0x8 (not mapped, write)"},
    {1, "invalid instruction"},
    {2, "the system call getppid, which only the first CPU of a program can make"},
    {3, "a call of the host, which only the first CPU of a program can make"},
    {5, ""},
    {6, "read of the doorbell page"},
    {7, ""},
    {8, "a call of the host, which only the first CPU of a program can make"},
    {9, "execute"},
    {10, ""},
    {11, "page fault at 0x7fffe05000"},
    {12, "stack overflow"},
    {13, "page fault at 0x7fffe04000"},
    {14, "the system call futex, which only the first CPU of a program can make"},
};

TEST_P(FurtherVcpusTest, FailTheirCallWhenTheyCrash) {
    const std::string who = "on CPU " + std::to_string(cpus() - 1) + ": ";
    for (const Misbehaviour& wrong : misbehaviours)
        for (const std::uint64_t how : {0, 1, 2}) {  // the first one awaits it, computes, makes system calls
            const std::uint64_t arguments[] = {wrong.kind, how};
            try {
                (void)fork.call(guest.calls.functions.at("suffer"), arguments, guest.calls, patience());
                ADD_FAILURE() << wrong.kind << " " << how;
            } catch (const GuestFault& fault) {
                EXPECT_TRUE(fault.details().reason.find(who) != std::string::npos &&
                            fault.details().reason.find(wrong.report) != std::string::npos)
                    << wrong.kind << " " << how << ": " << fault.details().reason;
            }
            fork.reset();
            ASSERT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000)) << wrong.kind << " " << how;
            ASSERT_EQ(guest.call(fork, "look_at_registers"), 0u) << wrong.kind << " " << how;
            fork.reset();
        }
}

TEST_P(FurtherVcpusTest, CrashAllAtOnce) {
    for (int i = 0; i < 20; ++i) {
        EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, "all_crash"); }).find("page fault at 0x8"),
                  std::string::npos);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000));
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST_P(FurtherVcpusTest, AreOverWithTheTimeOfTheirCall) {
    for (const std::uint64_t how : {0, 1, 2}) {
        EXPECT_NE(error_of<Timeout>([&] { guest.call(fork, "suffer", {4, how}, in_seconds(0.2)); }), "") << how;
        fork.reset();
        EXPECT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000));
        fork.reset();
    }
}

TEST_P(FurtherVcpusTest, AreInterruptedWithTheirCall) {
    for (const std::uint64_t how : {0, 1}) {
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            fork.interrupt();
        });
        EXPECT_NE(error_of<Interrupted>([&] { guest.call(fork, "suffer", {4, how}); }), "");
        other.join();
        fork.reset();
        EXPECT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000));
        fork.reset();
    }
}

TEST(FurtherVcpus, AreHeldToTheLimitOfMemory) {
    for (const unsigned cpus : {2U, 4U}) {
        Options options = with_cpus(cpus);
        options.max_request_memory = 16 * MiB;
        BootedGuest guest("cpus", options);
        Fork fork(guest.snapshot);
        for (const std::uint64_t with_first : {0, 1, 0, 1}) {
            EXPECT_NE(error_of<OutOfMemory>([&] { guest.call(fork, "eat_memory", {with_first}); }), "");
            // As for one CPU (docs/design.md, "Limits"), and what KVM keeps for itself for each further one.
            EXPECT_LE(fork.memory().own_bytes(), (16 + 4 + 4 * (cpus - 1)) * MiB) << cpus;
            fork.reset();
            EXPECT_EQ(guest.call(fork, "touch_on_all", {256}), cpus);
            fork.reset();
            EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        }
    }
}

// --- Reset

TEST_P(FurtherVcpusTest, EndWithTheAnswer) {
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(guest.call(fork, "answer_without_waiting", {0xAAAA0000u + i}), 0xAAAA0000u + i);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        EXPECT_EQ(guest.call(fork, "look_at_registers"), 0u);
        EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, "leave_without_waiting", {0xBB}); }), "");
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST_P(FurtherVcpusTest, EndWithTheAnswerAlsoWithoutReset) {
    EXPECT_EQ(guest.call(fork, "answer_without_waiting", {5}), 5u);
    EXPECT_EQ(guest.call(fork, "look_at_registers"), 0u);
    EXPECT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000));
}

std::size_t vcpus_of_this_process() {
    std::size_t count = 0;
    DIR* directory = ::opendir("/proc/self/fd");
    while (const dirent* entry = ::readdir(directory)) {
        char target[64] = {};
        if (::readlinkat(::dirfd(directory), entry->d_name, target, sizeof target - 1) > 0)
            count += std::string_view(target).starts_with("anon_inode:kvm-vcpu:");
    }
    ::closedir(directory);
    return count;
}

TEST_P(FurtherVcpusTest, AreMadeOncePerVm) {
    const std::size_t before = vcpus_of_this_process();
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000));
        fork.reset();
    }
    EXPECT_EQ(vcpus_of_this_process(), before);
    {
        Fork another(guest.snapshot);
        EXPECT_EQ(vcpus_of_this_process(), before + cpus());
    }
    EXPECT_EQ(vcpus_of_this_process(), before);
}

// Unless they have work, they cost nothing.
TEST_P(FurtherVcpusTest, CostNothingWhenTheyAreNotUsed) {
    for (int i = 0; i < 10; ++i) {
        guest.call(fork, "unmarked");
        fork.reset();
    }
    const Statistics before = fork.statistics();
    for (int i = 0; i < 50; ++i) {
        guest.call(fork, "unmarked");
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().exits - before.exits, 50u);
    EXPECT_EQ(fork.statistics().kvm_calls - before.kvm_calls, 50u);
}

// Whatever further CPUs did, the next request sees what a first-ever request sees.
TEST_P(FurtherVcpusTest, LeaveNothingToTheNextRequest) {
    const char* const text = std::getenv("TINYKVM_BATTERY_PAIRS");
    const int pairs = (text ? std::atoi(text) : 10000) / 50;
    std::mt19937_64 random(cpus());
    const auto fails = [&](const std::string& function, std::vector<std::uint64_t> arguments, double seconds) {
        try {
            guest.call(fork, function, std::move(arguments), in_seconds(seconds));
        } catch (const Error&) {  // which one is for other tests
        }
    };
    for (int i = 0; i < pairs; ++i) {
        const std::uint64_t tag = random() | 1;
        switch (random() % 7) {
            case 0: guest.call(fork, "mark", {tag % 100}); break;
            case 1: guest.call(fork, "answer_without_waiting", {tag}); break;
            case 2: fails("leave_without_waiting", {tag}, 300); break;
            case 3: fails("suffer", {random() % 4, random() % 3}, 300); break;
            case 4: fails("suffer", {4, random() % 3}, 0.002); break;
            case 5: guest.call(fork, "remap", {2}); break;
            case 6: guest.call(fork, "touch_on_all", {random() % 1000}); break;
        }
        fork.reset();
        ASSERT_EQ(guest.call(fork, "unmarked"), 0u) << i;
        ASSERT_EQ(guest.call(fork, "look_at_registers"), 0u) << i;
        ASSERT_EQ(guest.call(fork, "sum", {1000}), sum_below(1000)) << i;
        fork.reset();
    }
}

// In a guest that waits for its calls inside of its VM.
TEST_P(FurtherVcpusTest, WorkForCallsThroughTheMailbox) {
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled, std::chrono::microseconds(1));
    polled.join();
    polled.fork.reset();
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(polled.wait());
        ASSERT_TRUE(polled.post("sum", {1000}));
        polled.listen();
        polled.join();
        EXPECT_EQ(polled.error, "");
        EXPECT_EQ(guest.calls.answer, sum_below(1000));
        polled.fork.reset();
        ASSERT_TRUE(polled.wait());
        ASSERT_TRUE(polled.post(i % 2 ? "all_crash" : "answer_without_waiting", {3}));
        polled.listen();
        polled.join();
        EXPECT_EQ(polled.error.empty(), i % 2 == 0) << polled.error;
        polled.fork.reset();
        EXPECT_EQ(guest.call(polled.fork, "unmarked"), 0u);
        EXPECT_EQ(guest.call(polled.fork, "look_at_registers"), 0u);
        polled.fork.reset();
    }
}

}  // namespace
}  // namespace tinykvm
