// Request VMs and their pool, with real forks.
#include <sched.h>

#include <array>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/unit/eventually.hpp"
#include "tests/unit/vtc_guest.hpp"

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

class PoolTest : public VtcGuestTest {
  protected:
    std::shared_ptr<Pool> pool(const ProgramConfig& config) { return std::make_shared<Pool>(boot(config), counters); }
};

TEST_F(PoolTest, VmsAreMadeWhenTheyAreNeeded) {
    ProgramConfig config = guest_config("hello");
    config.concurrency = 3;
    const auto vms = pool(config);
    EXPECT_EQ(vms->occupancy().vms, 0U);
    EXPECT_EQ(get(*vms, "/x", "y"), "200 hello url=/x arg=y");
    EXPECT_EQ(get(*vms, "/x", "z"), "200 hello url=/x arg=z");
    EXPECT_LE(vms->occupancy().vms, 2U);
    {
        const Lease one = vms->acquire(soon(), nullptr), two = vms->acquire(soon(), nullptr),
                    three = vms->acquire(soon(), nullptr);
        EXPECT_EQ(vms->occupancy().vms, 3U);
        EXPECT_EQ(vms->occupancy().idle, 0U);
        EXPECT_THROW((void)vms->acquire(Clock::now(), nullptr), Failure);
        EXPECT_EQ(counters[Counter::queue_timeouts], 1U);
    }
    vms->close(300s);
    EXPECT_EQ(vms->occupancy().vms, 0U);
    EXPECT_EQ(counters[Counter::forks], 3U);
}

TEST_F(PoolTest, FirstRequestWaitsForItsVmEvenWithoutQueueTime) {
    const auto vms = pool(guest_config("hello"));
    EXPECT_TRUE(vms->acquire(Clock::now(), nullptr));
}

TEST_F(PoolTest, WhoDoesNotWaitGetsAFreeVmOrNone) {
    const auto vms = pool(guest_config("hello"));
    EXPECT_FALSE(vms->try_acquire());
    EXPECT_EQ(vms->occupancy().vms, 0U);
    (void)get(*vms, "/");
    eventually("the VM is given back", [&] { return vms->occupancy().idle != 0; });
    Lease held = vms->try_acquire();
    ASSERT_TRUE(held);
    EXPECT_FALSE(vms->try_acquire());
    // It does not overtake requests that wait in line.
    auto first = std::async(std::launch::async, [&] { return vms->acquire(soon(), nullptr); });
    eventually("a request is in line", [&] { return vms->occupancy().waiting != 0; });
    held.give_back();
    Lease waited = first.get();
    EXPECT_FALSE(vms->try_acquire());
    waited.give_back();
    vms->close(300s);
    EXPECT_FALSE(vms->try_acquire());
    EXPECT_EQ(counters[Counter::queue_timeouts], 0U);
}

// Calls it on a thread that stays on one CPU.
template <typename Function>
auto on_cpu(int cpu, Function function) {
    return std::async(std::launch::async,
                      [&] {
                          cpu_set_t only;
                          CPU_ZERO(&only);
                          CPU_SET(cpu, &only);
                          EXPECT_EQ(sched_setaffinity(0, sizeof only, &only), 0);
                          return function();
                      })
        .get();
}

TEST_F(PoolTest, IdleVmThatWasUsedOnTheSameCpuIsPreferred) {
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
    }
    if (cpus.size() < 2) {
        GTEST_SKIP() << "there is one CPU only";
    }
    ProgramConfig config = guest_config("hello");
    config.concurrency = 2;
    const auto vms = pool(config);
    Lease first = vms->acquire(soon(), nullptr), second = vms->acquire(soon(), nullptr);
    const RequestVm* const of_first = &*first;
    const RequestVm* const of_second = &*second;
    const auto take = [&] { return vms->try_acquire(); };
    on_cpu(cpus[0], [&] { first.give_back(); });
    on_cpu(cpus[1], [&] { second.give_back(); });
    Lease one = on_cpu(cpus[0], take);
    Lease other = on_cpu(cpus[0], take);  // better one of another CPU than none
    ASSERT_TRUE(one && other);
    EXPECT_EQ(&*one, of_first);
    EXPECT_EQ(&*other, of_second);
    on_cpu(cpus[1], [&] { other.give_back(); });
    on_cpu(cpus[0], [&] { one.give_back(); });
    EXPECT_EQ(&*on_cpu(cpus[1], take), of_second);
}

// Who is inside of a self-request may be what others wait for, so it gets one.
TEST_F(PoolTest, NobodyGetsAVmWhileItIsHeldButThoseInside) {
    ProgramConfig config = guest_config("hello");
    config.concurrency = 2;
    const auto vms = pool(config);
    Lease running = vms->acquire(soon(), nullptr);
    vms->hold(true);
    EXPECT_FALSE(vms->is_idle());
    auto waiting = std::async(std::launch::async, [&] { return vms->acquire(soon(), nullptr); });
    eventually("a request is in line, for a VM that is there", [&] {
        const auto now = vms->occupancy();
        return now.waiting == 1 && now.idle == 1;
    });
    EXPECT_FALSE(vms->try_acquire());
    Lease inside = vms->acquire(soon(), nullptr, 1);
    EXPECT_TRUE(inside);
    inside.give_back();
    running.give_back();
    eventually("no VM is in use", [&] { return vms->is_idle(); });
    EXPECT_EQ(vms->occupancy().waiting, 1U);
    vms->hold(false);
    EXPECT_TRUE(waiting.get());
    vms->close(300s);
}

TEST_F(PoolTest, RetiringSendsThoseAwayWhoWaitWhileItIsHeld) {
    const auto vms = pool(guest_config("hello"));
    vms->hold(true);
    auto waiting = std::async(std::launch::async, [&] { return vms->acquire(soon(), nullptr); });
    eventually("a request is in line", [&] { return vms->occupancy().waiting == 1; });
    vms->retire();
    EXPECT_FALSE(waiting.get());
    vms->hold(false);
    eventually("its VMs have gone", [&] { return vms->has_ended(); });
}

TEST_F(PoolTest, LineIsFirstComeFirstServed) {
    const auto vms = pool(guest_config("hello"));
    Lease held = vms->acquire(soon(), nullptr);
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; i++) {
        threads.emplace_back([&, i] {
            const Lease lease = vms->acquire(soon(), nullptr);
            const std::lock_guard lock(mutex);
            order.push_back(i);
        });
        eventually("the request is in line",
                   [&] { return vms->occupancy().waiting == static_cast<std::size_t>(i + 1); });
    }
    held.give_back();
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

// Otherwise requests of clients could hold all VMs before it is the turn of a request that another one waits for.
TEST_F(PoolTest, RequestsInsideOfOthersAreBeforeThoseOfClients) {
    const auto vms = pool(guest_config("hello"));
    Lease held = vms->acquire(soon(), nullptr);
    const auto request = WaitGraph::of_process().begin_self_request(nullptr, 0);
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::thread> threads;
    const std::array<WaitGraph::Id, 4> inside_of = {0, request.id(), 0, request.id()};
    for (std::size_t i = 0; i < inside_of.size(); i++) {
        threads.emplace_back([&, i] {
            const Lease lease = vms->acquire(soon(), nullptr, inside_of[i]);
            const std::lock_guard lock(mutex);
            order.push_back(static_cast<int>(i));
        });
        eventually("the request is in line", [&] { return vms->occupancy().waiting == i + 1; });
    }
    held.give_back();
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(order, (std::vector{1, 3, 0, 2}));
}

TEST_F(PoolTest, ClientThatLeavesFreesItsPlaceAndItsVm) {
    const auto vms = pool(guest_config("rogue"));
    {
        Lease held = vms->acquire(soon(), nullptr);
        try {
            (void)vms->acquire(soon(), [] { return true; });
            FAIL() << "it was served";
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind(), FailureKind::client_gone);
        }
        EXPECT_EQ(vms->occupancy().waiting, 0U);
        Request request;
        request.url = "/loop";
        held->begin(request);
        const Outcome outcome = held->run([] { return true; });
        ASSERT_FALSE(outcome.answered);
        EXPECT_EQ(outcome.failures.at(0).kind(), FailureKind::client_gone);
    }
    EXPECT_EQ(get(*vms, "/x"), "200 request 1");
}

TEST_F(PoolTest, ClosingEndsWhatRunsAndWhatWaits) {
    const auto vms = pool(guest_config("rogue"));
    auto running = std::async(std::launch::async, [&] { return get(*vms, "/loop"); });
    eventually("the request has begun", [&] { return counters[Counter::requests] != 0; });
    auto waiting = std::async(std::launch::async, [&]() -> std::string {
        try {
            return get(*vms, "/x");
        } catch (const Failure& failure) {
            return to_string(failure.kind());
        }
    });
    eventually("a request is in line", [&] { return vms->occupancy().waiting != 0; });
    vms->close(300s);
    EXPECT_EQ(running.get(), "shutting down");
    EXPECT_EQ(waiting.get(), "shutting down");
    EXPECT_EQ(vms->occupancy().vms, 0U);
    EXPECT_THROW((void)vms->acquire(soon(), nullptr), Failure);
}

TEST_F(PoolTest, LeaseOutlivesThePoolOfItsService) {
    auto vms = pool(guest_config("hello"));
    Lease lease = vms->acquire(soon(), nullptr);
    vms->close(0ms);
    vms.reset();
    Request request;
    request.url = "/late";
    lease->begin(request);
    const Outcome outcome = lease->run(nullptr);
    EXPECT_EQ(body_of(*lease, outcome), "hello url=/late arg=");
    lease.give_back();
}

TEST_F(PoolTest, LeaseGivenBackUnusedOrHalfUsed) {
    const auto vms = pool(guest_config("counter"));
    for (int i = 0; i < 20; i++) {
        Lease lease = vms->acquire(soon(), nullptr);
        if (i % 2 == 0) {
            const Request request;
            lease->begin(request);
            lease->append_body(std::as_bytes(std::span("abandoned", 9)));
        }
    }
    EXPECT_EQ(get(*vms, "/"), "200 1 1 1 1");
}

// Stopped at arbitrary instants by its deadline, a VM serves the next request as if nothing had happened.
TEST_F(PoolTest, TimedOutVmIsAsGoodAsNew) {
    const auto vms = pool(guest_config("rogue"));
    (void)get(*vms, "/warm");
    int stopped = 0;
    for (int i = 0; i < rounds(300); i++) {
        Lease lease = vms->acquire(soon(), nullptr);
        Request request;
        request.url = "/loop";
        lease->begin(request);
        std::atomic<bool> gone = false;
        std::thread timer([&] {
            std::this_thread::sleep_for(std::chrono::microseconds(i * 37 % 3000));
            gone = true;
            lease->interrupt(FailureKind::client_gone);
        });
        const Outcome outcome = lease->run([&] { return gone.load(); });
        timer.join();
        stopped += !outcome.answered;
        lease.give_back();
        ASSERT_EQ(get(*vms, "/x"), "200 request 1") << i;
    }
    EXPECT_EQ(stopped, rounds(300));
}

// Whatever VM and thread a request meets, memory and thread-local storage are new.
TEST_F(PoolTest, EveryRequestSeesTheProgramAsItBooted) {
    ProgramConfig config = guest_config("counter");
    config.concurrency = 4;
    const auto vms = pool(config);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < rounds(200); i++) {
                const bool crash = (t + i) % 7 == 0;
                const std::string said = get(*vms, crash ? "/crash" : "/");
                wrong += said != (crash ? "crashed" : "200 1 1 1 1");
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(counters[Counter::requests], 8U * static_cast<unsigned>(rounds(200)));
    const std::size_t made = vms->occupancy().vms;  // some perhaps not yet ready
    vms->close(300s);
    EXPECT_EQ(counters[Counter::forks], made);
}

TEST_F(PoolTest, FailuresAreReportedAsWhatTheyAre) {
    ProgramConfig config = guest_config("rogue");
    config.max_request_memory = std::size_t{4} << 20;
    const auto vms = pool(config);
    EXPECT_EQ(get(*vms, "/crash"), "crashed");
    EXPECT_EQ(get(*vms, "/opcode"), "crashed");
    EXPECT_EQ(get(*vms, "/memory"), "out of memory");
    EXPECT_EQ(get(*vms, "/exit"), "no answer");
    EXPECT_EQ(get(*vms, "/silence"), "no answer");
    EXPECT_EQ(get(*vms, "/wait"), "no answer");
    EXPECT_EQ(get(*vms, "/status0"), "invalid answer");
    EXPECT_EQ(get(*vms, "/fine"), "200 request 1");
    EXPECT_EQ(counters[Counter::program_exception], 7U);
    EXPECT_EQ(counters[Counter::program_timeout], 0U);
    config.max_request_time = 100ms;
    const auto hasty = pool(config);
    EXPECT_EQ(get(*hasty, "/loop"), "timed out");
    EXPECT_EQ(counters[Counter::program_timeout], 1U);
}

TEST_F(PoolTest, BodiesOfAllSizesArriveWhole) {
    const auto vms = pool(guest_config("mirror"));
    Request request;
    request.method = "POST";
    request.content_type = "a/b";
    for (const std::size_t size : {0U, 1U, 63U, 64U, 4095U, 4096U, 4097U, 2097151U, 2097152U, 2097153U, 10000000U}) {
        std::string body(size, '\0');
        for (std::size_t i = 0; i < size; i++) {
            body[i] = static_cast<char>('a' + i % 26);
        }
        request.argument = "";
        EXPECT_TRUE(ask(*vms, request, body) == "200 " + body) << size;
        request.argument = "check";
        EXPECT_EQ(ask(*vms, request, body), "200 " + std::to_string(size) + " bytes");
    }
}

TEST_F(PoolTest, RequestThatDoesNotFitIsRefused) {
    ProgramConfig config = guest_config("mirror");
    config.max_request_memory = std::size_t{1} << 20;
    const auto vms = pool(config);
    const auto outcome_of = [&](const Request& request, std::size_t body) -> std::string {
        const std::string text(body, 'x');
        Lease lease = vms->acquire(soon(), nullptr);
        try {
            lease->begin(request);
            lease->append_body(std::as_bytes(std::span(text)));
            const Outcome outcome = lease->run(nullptr);
            return outcome.answered ? "answered" : to_string(outcome.failures.at(0).kind());
        } catch (const Failure& failure) {
            return to_string(failure.kind());
        }
    };
    const std::string refused = to_string(FailureKind::too_large);
    const std::string long_text(70000, 'x');
    Request request;
    request.url = long_text;
    EXPECT_EQ(outcome_of(request, 0), refused);
    request = {};
    request.argument = long_text;
    EXPECT_EQ(outcome_of(request, 0), refused);
    request = {};
    const std::vector<std::string_view> many(70000, "X: y");
    request.headers = many;
    EXPECT_EQ(outcome_of(request, 0), refused);
    request.headers = std::span(many).first(60000);
    EXPECT_EQ(outcome_of(request, 0), refused);
    request = {};
    EXPECT_EQ(outcome_of(request, std::size_t{1} << 20), refused);
    // This just fits, and leaves the program nothing to work with.
    EXPECT_EQ(outcome_of(request, (std::size_t{1} << 20) - 200), "out of memory");
    EXPECT_EQ(outcome_of(request, 1000), "answered");
    EXPECT_EQ(get(*vms, "/x", "describe"), "200 GET /x type= headers=none length=0 zero=null");
}

}  // namespace
}  // namespace tinykvm::host
