// Threads of a program on several CPUs: what they compute, what one does to the others, how they end, and that nothing
// of them is left after a reset.
#include <csignal>
#include <random>
#include <utility>

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

class SpreadThreadsTest : public testing::TestWithParam<unsigned> {
  protected:
    unsigned cpus() const { return GetParam(); }
    // Have the further CPUs had a part in it since this was asked last?
    bool was_spread() {
        return fork.statistics().further_cpu_time > std::exchange(time_, fork.statistics().further_cpu_time);
    }

    BootedGuest guest{"spread", with_cpus(GetParam())};
    Fork fork{guest.snapshot};

  private:
    std::uint64_t time_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Cpus, SpreadThreadsTest, testing::Values(2U, 4U));

TEST(SpreadThreads, DoNotHappenOnASingleCpu) {
    BootedGuest guest("spread");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "count", {4, 2000}), 8000u);
    EXPECT_EQ(guest.call(fork, "processors"), 0x01010101u);
    EXPECT_EQ(fork.statistics().further_cpu_time, 0u);
}

TEST_P(SpreadThreadsTest, RunAtTheSameTime) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "turns_only"), 1u);
        EXPECT_TRUE(was_spread());
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST_P(SpreadThreadsTest, CountExactly) {
    for (const std::uint64_t threads : {2, 5}) {
        EXPECT_EQ(guest.call(fork, "count", {threads, 10000}), threads * 10000);
        fork.reset();
    }
}

TEST_P(SpreadThreadsTest, KeepTheirRegisters) {
    for (const std::uint64_t threads : {1, 5}) {
        EXPECT_EQ(guest.call(fork, "registers", {threads, 800}), 0u);
        EXPECT_TRUE(was_spread());
        fork.reset();
    }
}

TEST_P(SpreadThreadsTest, WriteToTheSamePagesForTheFirstTime) {
    Fork sibling(guest.snapshot);
    for (int i = 0; i < 3; ++i) {
        Fork fresh(guest.snapshot);
        EXPECT_EQ(guest.call(fresh, "mark"), 0u);
        EXPECT_EQ(guest.call(fork, "mark"), 0u);
        EXPECT_EQ(guest.call(sibling, "unmarked"), 0u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        fork.reset();
    }
}

TEST_P(SpreadThreadsTest, SeeWhatAnotherOneMaps) {
    EXPECT_EQ(guest.call(fork, "remap", {30}), 0u);
    EXPECT_TRUE(was_spread());
    fork.reset();
    EXPECT_EQ(guest.call(fork, "remap", {10}), 0u);
}

// --- Signals

TEST_P(SpreadThreadsTest, GetTheirSignals) {
    EXPECT_EQ(guest.call(fork, "signal_to_other", {20}), 0u);
    EXPECT_TRUE(was_spread());
    fork.reset();
    EXPECT_EQ(guest.call(fork, "fault_in_other", {20}), 0u);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "traps_in_other", {20}), 20u);
    fork.reset();
    EXPECT_EQ(guest.call(fork, "alarms", {10}), 1u);
}

// --- Ends

struct End {
    std::uint64_t kind;
    int signal;
    const char* report;
};
constexpr End crashes[] = {
    {0, SIGSEGV, "page fault at 0x0 (not mapped, write)"},
    {1, SIGILL, "invalid instruction"},
    {4, SIGABRT, ""},
    {5, SIGSEGV, ""},
    {6, SIGSEGV, "execute"},
    {9, SIGSEGV, ""},
};

TEST_P(SpreadThreadsTest, EndTheirCallWhenTheyCrash) {
    for (const End& end : crashes)
        for (const std::uint64_t how : {0, 1, 2}) {
            const std::uint64_t arguments[] = {end.kind, how};
            try {
                (void)fork.call(guest.calls.functions.at("suffer"), arguments, guest.calls, patience());
                ADD_FAILURE() << end.kind << " " << how;
            } catch (const GuestFault& fault) {
                EXPECT_EQ(fault.details().signal, end.signal) << end.kind << " " << how;
                EXPECT_NE(fault.details().reason.find(end.report), std::string::npos)
                    << end.kind << " " << how << ": " << fault.details().reason;
            }
            fork.reset();
            ASSERT_EQ(guest.call(fork, "unmarked"), 0u) << end.kind << " " << how;
            fork.reset();
        }
}

TEST_P(SpreadThreadsTest, EndTheProgramOrAnswer) {
    for (const std::uint64_t how : {0, 1, 2}) {
        for (const auto& [kind, status] : {std::pair{2, 9}, {10, 11}}) {
            const std::uint64_t arguments[] = {static_cast<std::uint64_t>(kind), how};
            const Stop stop = fork.call(guest.calls.functions.at("suffer"), arguments, guest.calls, patience());
            EXPECT_EQ(stop.reason, Stop::Reason::exited);
            EXPECT_EQ(stop.exit_status, status);
            fork.reset();
        }
        EXPECT_EQ(guest.call(fork, "suffer", {3, how}), 8u);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        fork.reset();
    }
}

TEST_P(SpreadThreadsTest, AreOverWithTheTimeOfTheirCall) {
    for (const std::uint64_t how : {0, 1, 2}) {
        EXPECT_NE(error_of<Timeout>([&] { guest.call(fork, "suffer", {7, how}, in_seconds(0.3)); }), "") << how;
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        fork.reset();
    }
}

TEST_P(SpreadThreadsTest, AreInterruptedWithTheirCall) {
    for (const std::uint64_t how : {0, 1}) {
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            fork.interrupt();
        });
        EXPECT_NE(error_of<Interrupted>([&] { guest.call(fork, "suffer", {7, how}); }), "");
        other.join();
        fork.reset();
        EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
        fork.reset();
    }
}

TEST(SpreadThreads, AreHeldToTheLimitOfMemory) {
    for (const unsigned cpus : {2U, 4U}) {
        Options options = with_cpus(cpus);
        options.max_request_memory = 16 * MiB;
        BootedGuest guest("spread", options);
        Fork fork(guest.snapshot);
        for (int i = 0; i < 3; ++i) {
            EXPECT_NE(error_of<OutOfMemory>([&] { guest.call(fork, "eat_memory"); }), "");
            EXPECT_LE(fork.memory().own_bytes(), (16 + 4 + 4 * (cpus - 1)) * MiB) << cpus;
            fork.reset();
            EXPECT_EQ(guest.call(fork, "unmarked"), 0u);
            fork.reset();
        }
    }
}

// --- With the rest

TEST_P(SpreadThreadsTest, AreToldOfAllCpus) {
    EXPECT_EQ(guest.call(fork, "processors"), cpus() * 0x01010101u);
    EXPECT_EQ(guest.call(fork, "clocks"), 1u);
}

TEST_P(SpreadThreadsTest, GiveWayToMultiprocess) {
    const std::uint64_t n = cpus();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(guest.call(fork, "work_beside"), 10 * n * (n - 1) / 2);
        fork.reset();
    }
}

TEST_P(SpreadThreadsTest, GoOnWhileAnotherOneCallsTheHost) {
    EXPECT_EQ(guest.call(fork, "notes", {200}), 200u);
    ASSERT_EQ(guest.calls.notes.size(), 200u);
    for (std::uint64_t n = 0; n < 200; ++n) ASSERT_EQ(guest.calls.notes[n].first, n);
}

TEST_P(SpreadThreadsTest, AreFrozenWhileTheyRun) {
    Options options = with_cpus(cpus());
    options.arguments = {"threads"};
    BootedGuest spinning("spread", options);
    Fork first(spinning.snapshot), second(spinning.snapshot);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(spinning.call(first, "goes_on"), 1u);
        EXPECT_EQ(spinning.call(second, "count", {2, 1000}), 2000u);
        EXPECT_EQ(spinning.call(second, "goes_on"), 1u) << "without a reset";
        first.reset();
        second.reset();
    }
}

TEST_P(SpreadThreadsTest, ShareTheFirstCpuInCallsThroughTheMailbox) {
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled, std::chrono::microseconds(1));
    polled.join();
    polled.fork.reset();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(polled.wait());
        ASSERT_TRUE(polled.post("notes", {20}));
        polled.listen();
        polled.join();
        EXPECT_EQ(polled.error, "");
        EXPECT_EQ(guest.calls.answer, 20u);
        polled.fork.reset();
        EXPECT_EQ(guest.call(polled.fork, "unmarked"), 0u);
        polled.fork.reset();
    }
}

// Whatever threads on further CPUs did, the next request sees what a first-ever request sees.
TEST_P(SpreadThreadsTest, LeaveNothingToTheNextRequest) {
    const char* const text = std::getenv("TINYKVM_BATTERY_PAIRS");
    const int pairs = (text ? std::atoi(text) : 10000) / 200;
    std::mt19937_64 random(cpus());
    const auto run = [&](const std::string& function, std::vector<std::uint64_t> arguments, double seconds) {
        try {
            (void)fork.call(guest.calls.functions.at(function), arguments, guest.calls, in_seconds(seconds));
        } catch (const Error&) {  // which one is for other tests
        }
    };
    for (int i = 0; i < pairs; ++i) {
        switch (random() % 7) {
            case 0: run("mark", {}, 300); break;
            case 1: run("suffer", {random() % 7, random() % 3}, 300); break;
            case 2: run("suffer", {7, random() % 3}, 0.01 * static_cast<double>(1 + random() % 5)); break;
            case 3: run("remap", {2}, 300); break;
            case 4: run("registers", {1 + random() % 3, 100}, 300); break;
            case 5: run("signal_to_other", {2}, 300); break;
            case 6: run("fault_in_other", {2}, 300); break;
        }
        fork.reset();
        ASSERT_EQ(guest.call(fork, "unmarked"), 0u) << i;
        ASSERT_EQ(guest.call(fork, "processors"), cpus() * 0x01010101u) << i;
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

}  // namespace
}  // namespace tinykvm
