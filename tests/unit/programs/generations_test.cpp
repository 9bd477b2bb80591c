// Programs that are unloaded, boot again and are replaced while requests run, wait and come.
#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "src/programs/catalogue.hpp"
#include "src/programs/reaper.hpp"
#include "tests/unit/eventually.hpp"
#include "tests/unit/vtc_guest.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

TEST(Reaper, LooksUntilThingsHaveEnded) {
    Reaper reaper("reaper");
    EXPECT_TRUE(reaper.wait(Clock::now()));
    std::atomic<int> looks = 0;
    std::atomic<bool> may_end = false;
    reaper.watch([&] { return ++looks > 3; });
    reaper.watch([&] { return may_end.load(); });
    EXPECT_FALSE(reaper.wait(Clock::now() + 50ms));
    may_end = true;
    EXPECT_TRUE(reaper.wait(soon()));
    EXPECT_EQ(looks, 4);
    reaper.watch([] { return true; });
    EXPECT_TRUE(reaper.wait(soon()));
}

TEST(Reaper, GoesOnWithoutItsOwner) {
    const auto thing = std::make_shared<std::atomic<bool>>(false);
    {
        Reaper reaper("reaper");
        reaper.watch([thing] { return thing->load(); });
    }
    *thing = true;
    eventually("the reaper lets go of what has ended", [&] { return thing.use_count() <= 1; });
}

class GenerationsTest : public VtcGuestTest {
  protected:
    std::string ask(const Request& request = {}) {
        Lease lease = service.acquire(nullptr);
        return ask(lease, request);
    }
    static std::string ask(Lease& lease, const Request& request = {}) {
        lease->begin(request);
        const Outcome outcome = lease->run(nullptr);
        return outcome.answered ? body_of(*lease, outcome) : to_string(outcome.failures.at(0).kind());
    }
    // How many threads this process has, with those of its VMs.
    static std::size_t threads() {
        std::size_t count = 0;
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            (void)task;
            count++;
        }
        return count;
    }
    static std::shared_ptr<const Program> program(const std::string& name) {
        return Program::from_file(guest_path(name));
    }
    std::string refusal_of_update(const std::string& name) {
        try {
            service.update(program(name));
            return "updated";
        } catch (const Failure& failure) {
            return std::string(to_string(failure.kind())) + ": " + failure.what();
        }
    }
    void wait_for_boots(std::uint64_t count) {
        eventually("the program is booted " + std::to_string(count) + " times",
                   [&] { return counters[Counter::boots] >= count; });
    }

    static constexpr const char* hello = "hello url= arg=";
    static constexpr const char* counter = "1 1 1 1";
    ProgramService service{"p", {counters, [](const std::string&, std::string_view) {}}};
};

TEST_F(GenerationsTest, UnloadedProgramBootsAgainForTheNextRequest) {
    ASSERT_TRUE(service.configure(guest_config("counter")));
    EXPECT_FALSE(service.unload());
    EXPECT_EQ(ask(), counter);
    EXPECT_TRUE(service.unload());
    EXPECT_FALSE(service.ready());
    EXPECT_FALSE(service.unload());
    EXPECT_FALSE(service.configure(guest_config("hello")));  // was started once
    EXPECT_EQ(ask(), counter);
    EXPECT_EQ(counters[Counter::boots], 2U);
}

TEST_F(GenerationsTest, RequestsThatRunFinishWhereTheyBegan) {
    ASSERT_TRUE(service.configure(guest_config("hello")));
    Lease old = service.acquire(nullptr), unused;
    service.update(program("counter"));
    EXPECT_EQ(ask(), counter);
    EXPECT_EQ(ask(old), hello);
    EXPECT_TRUE(service.unload());
    EXPECT_EQ(ask(), hello);  // the file's again
    old.give_back();
    service.cold();
    EXPECT_TRUE(service.wait_until_cold(soon()));
}

TEST_F(GenerationsTest, RequestsInLineGetTheNewOne) {
    ASSERT_TRUE(service.configure(guest_config("hello")));
    Lease old = service.acquire(nullptr);
    std::vector<std::future<std::string>> waiting;
    for (int i = 0; i < 4; i++) {
        waiting.push_back(std::async(std::launch::async, [&] { return ask(); }));
    }
    service.update(program("counter"));
    for (auto& one : waiting) {
        EXPECT_EQ(one.get(), counter);
    }
    EXPECT_EQ(ask(old), hello);
}

TEST_F(GenerationsTest, RequestsThatWaitForABootGetTheNewOne) {
    ProgramConfig config = guest_config("boot");
    config.main_arguments = {"loop"};
    ASSERT_TRUE(service.configure(config));
    auto waiting = std::async(std::launch::async, [&] { return ask(); });
    wait_for_boots(1);
    EXPECT_FALSE(service.ready());
    service.update(program("hello"));
    EXPECT_EQ(waiting.get(), hello);
    EXPECT_EQ(counters[Counter::boots_failed], 0U);
}

TEST_F(GenerationsTest, UnloadingWhileItBootsBeginsAnew) {
    ProgramConfig config = guest_config("boot");
    config.main_arguments = {"loop"};
    ASSERT_TRUE(service.configure(config));
    auto waiting = std::async(std::launch::async, [&] { return ask(); });
    wait_for_boots(1);
    service.set_main_arguments({});
    EXPECT_TRUE(service.unload());
    EXPECT_EQ(waiting.get(), "booted");
    EXPECT_EQ(counters[Counter::boots], 2U);
}

TEST_F(GenerationsTest, UnloadingForgetsAFailure) {
    ProgramConfig config = guest_config("boot");
    config.main_arguments = {"exit"};
    ASSERT_TRUE(service.configure(config));
    EXPECT_THROW((void)service.acquire(nullptr), Failure);
    EXPECT_EQ(counters[Counter::boots_failed], 1U);
    service.set_main_arguments({});
    EXPECT_FALSE(service.unload());  // it was not loaded
    EXPECT_TRUE(service.healthy());
    EXPECT_EQ(ask(), "booted");  // at once
}

TEST_F(GenerationsTest, FailedUpdateChangesNothing) {
    ASSERT_TRUE(service.configure(guest_config("counter")));
    EXPECT_EQ(ask(), counter);
    service.set_main_arguments({"crash"});
    EXPECT_EQ(refusal_of_update("boot").substr(0, 50), "not ready: the program did not boot: the program c");
    EXPECT_EQ(ask(), counter);
    EXPECT_TRUE(service.ready());
    service.set_main_arguments({"exit"});
    EXPECT_EQ(refusal_of_update("boot"),
              "not ready: the program did not boot: the program exited with status 7 instead of calling "
              "wait_for_requests(); its last words: cannot find my data");
    EXPECT_EQ(ask(), counter);
}

TEST_F(GenerationsTest, ProgramWithoutACallbackIsReady) {
    ProgramConfig config = guest_config("boot");
    config.main_arguments = {"nothing"};
    ASSERT_TRUE(service.configure(config));
    EXPECT_EQ(ask(), "unsupported request");
    EXPECT_TRUE(service.ready());
    EXPECT_EQ(counters[Counter::boots_failed], 0U);
}

TEST_F(GenerationsTest, UpdateOfProgramsThatAreNotLoaded) {
    ASSERT_TRUE(service.configure(guest_config("no-such-program")));
    EXPECT_EQ(refusal_of_update("hello"), "updated");  // never started
    EXPECT_EQ(ask(), hello);
    EXPECT_TRUE(service.unload());
    EXPECT_THROW((void)service.acquire(nullptr), Failure);
    EXPECT_EQ(refusal_of_update("counter"), "updated");  // did not boot
    EXPECT_EQ(ask(), counter);
    service.cold();
    EXPECT_EQ(refusal_of_update("hello").substr(0, 14), "shutting down:");
    service.warm();
    EXPECT_EQ(ask(), counter);
}

TEST_F(GenerationsTest, OneUpdateAtATimeAndItHasATime) {
    ProgramConfig config = guest_config("hello");
    config.max_boot_time = 1s;
    ASSERT_TRUE(service.configure(config));
    EXPECT_EQ(ask(), hello);
    service.set_main_arguments({"loop"});
    auto first = std::async(std::launch::async, [&] { return refusal_of_update("boot"); });
    wait_for_boots(2);
    EXPECT_EQ(refusal_of_update("counter"), "busy: another live update of the program is under way");
    EXPECT_EQ(ask(), hello);
    EXPECT_NE(first.get().find("within max_boot_time (1 s)"), std::string::npos);
    service.set_main_arguments({});
    EXPECT_EQ(refusal_of_update("boot"), "updated");
    EXPECT_EQ(ask(), "booted");
}

TEST_F(GenerationsTest, ColdGivesUpAnUpdate) {
    ProgramConfig config = guest_config("hello");
    config.max_boot_time = std::chrono::hours(1);
    ASSERT_TRUE(service.configure(config));
    service.set_main_arguments({"loop"});
    auto update = std::async(std::launch::async, [&] { return refusal_of_update("boot"); });
    wait_for_boots(1);
    service.cold();
    EXPECT_EQ(update.get(), "shutting down: the VCL became cold meanwhile");
    EXPECT_TRUE(service.wait_until_cold(soon()));
}

// VMs that are in use for ever keep the end of a catalogue waiting once, not once for each, and still end with their
// lease.
TEST_F(GenerationsTest, CatalogueEndsInTime) {
    std::vector<Lease> leases;
    Catalogue catalogue({counters, [](const std::string&, std::string_view) {}});
    for (const char* name : {"a", "b", "c", "d"}) {
        ProgramService* one =
            catalogue.configure(name, R"({"max_boot_time": 300, "filename": ")" + guest_path("hello") + "\"}");
        ASSERT_NE(one, nullptr);
        leases.push_back(one->acquire(nullptr));
    }
    const std::size_t threads_before = threads();
    const auto begin = Clock::now();
    catalogue.cold();
    catalogue.end();
    EXPECT_GE(Clock::now(), begin + 4s);
    EXPECT_LT(Clock::now(), begin + 9s);
    leases.clear();
    eventually("the threads of the VMs end", [&] { return threads() <= threads_before - 4; });
}

// Every request is answered, by the old program or the new one; nothing is left of the generations that were.
TEST_F(GenerationsTest, ReplacedUnderLoad) {
    ProgramConfig config = guest_config("hello");
    config.concurrency = 3;
    config.poll.time = std::chrono::microseconds(200);
    ASSERT_TRUE(service.configure(config));
    EXPECT_EQ(ask(), hello);
    const std::size_t threads_before = threads();
    std::atomic<bool> enough = false;
    std::atomic<int> served = 0, wrong = 0;
    std::vector<std::thread> clients;
    for (int t = 0; t < 6; t++) {
        clients.emplace_back([&] {
            while (!enough) {
                const std::string said = ask();
                wrong += said != hello && said != counter;
                served++;
            }
        });
    }
    for (int i = 0; i < rounds(20); i++) {
        i % 3 == 2 ? (void)service.unload() : service.update(program(i % 3 == 0 ? "counter" : "hello"));
        const int now = served;
        eventually("20 more requests are served", [&] { return served >= now + 20; });
    }
    enough = true;
    for (auto& client : clients) {
        client.join();
    }
    EXPECT_EQ(wrong, 0);
    service.cold();
    EXPECT_TRUE(service.wait_until_cold(soon()));
    EXPECT_LT(threads(), threads_before + 1);
}

}  // namespace
}  // namespace tinykvm::host
