// A program as it is served: it boots on demand, is tried again after a failure, and goes cold and warm.
#include <future>
#include <thread>

#include "tests/unit/vtc_guest.hpp"

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

class ServiceTest : public VtcGuestTest {
  protected:
    ProgramService service{"p", {counters, [](const std::string&, std::string_view) {}}};
};

TEST_F(ServiceTest, StartsOnDemand) {
    ASSERT_TRUE(service.configure(guest_config("hello")));
    EXPECT_FALSE(service.ready());
    EXPECT_TRUE(service.healthy());
    EXPECT_TRUE(service.acquire(nullptr));
    EXPECT_TRUE(service.ready());
    EXPECT_FALSE(service.configure(guest_config("hello")));
    EXPECT_EQ(counters[Counter::boots], 1U);
}

TEST_F(ServiceTest, FailedBootIsToldToAllAndTriedAgainLater) {
    ProgramConfig config = guest_config("boot");
    config.main_arguments = {"exit"};
    ASSERT_TRUE(service.configure(config));
    std::vector<std::future<std::string>> waiting;
    for (int i = 0; i < 10; i++) {
        waiting.push_back(std::async(std::launch::async, [&]() -> std::string {
            try {
                (void)service.acquire(nullptr);
            } catch (const Failure& failure) {
                return failure.what();
            }
            return "served";
        }));
    }
    for (auto& one : waiting) {
        EXPECT_EQ(one.get(),
                  "the program did not boot: the program exited with status 7 instead of calling wait_for_requests(); "
                  "its last words: cannot find my data");
    }
    EXPECT_FALSE(service.ready());
    const std::uint64_t boots = counters[Counter::boots];
    EXPECT_LE(boots, 2U);
    std::this_thread::sleep_for(1100ms);
    EXPECT_TRUE(service.healthy());
    EXPECT_THROW((void)service.acquire(nullptr), Failure);
    EXPECT_EQ(counters[Counter::boots], boots + 1);
}

TEST_F(ServiceTest, MissingProgramSaysSo) {
    ProgramConfig config = guest_config("no-such-program");
    ASSERT_TRUE(service.configure(config));
    EXPECT_THROW(service.wait_until_booted(), Failure);
    EXPECT_FALSE(service.ready());
}

TEST_F(ServiceTest, GivesUpABootWhenItEnds) {
    ProgramConfig config = guest_config("boot");
    config.main_arguments = {"loop"};
    config.max_boot_time = std::chrono::hours(1);
    ASSERT_TRUE(service.configure(config));
    service.start();
    service.cold();  // returns at all
    EXPECT_FALSE(service.ready());
}

TEST_F(ServiceTest, ColdAndWarm) {
    ASSERT_TRUE(service.configure(guest_config("hello")));
    for (int i = 0; i < 5; i++) {
        EXPECT_TRUE(service.acquire(nullptr));
        service.cold();
        EXPECT_TRUE(service.ready());
        EXPECT_THROW((void)service.acquire(nullptr), Failure);
        service.warm();
    }
    EXPECT_EQ(counters[Counter::boots], 1U);
    EXPECT_EQ(counters[Counter::forks], 5U);
}

}  // namespace
}  // namespace tinykvm::host
