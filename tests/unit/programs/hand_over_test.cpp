// Programs that hand over their state when they are replaced, while others wait for their storage and while the VCL
// becomes cold.
#include <future>
#include <string>

#include "src/programs/storage_place.hpp"
#include "src/vms/storage_vm.hpp"
#include "tests/unit/eventually.hpp"
#include "tests/unit/vtc_guest.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

class HandOverTest : public VtcGuestTest {
  protected:
    HandOverTest() {
        ProgramConfig config = guest_config("hand_over");
        config.storage = true;
        config.max_storage_time = 300s;
        config.concurrency = 2;
        EXPECT_TRUE(service.configure(config));
    }

    std::string ask(const std::string& url) {
        Request request;
        request.url = url;
        Lease lease = service.acquire(nullptr);
        lease->begin(request);
        const Outcome outcome = lease->run(nullptr);
        return outcome.answered ? body_of(*lease, outcome) : to_string(outcome.failures.at(0).kind());
    }
    std::string update(const std::string& name) {
        try {
            service.update(Program::from_file(guest_path(name)));
            return "updated";
        } catch (const Failure& failure) {
            return std::string(to_string(failure.kind())) + ": " + failure.what();
        }
    }
    std::shared_ptr<StorageVm> storage() const { return StoragePlace::of("p")->last(); }

    ProgramService service{"p", {counters, [](const std::string&, std::string_view) {}}};
};

TEST_F(HandOverTest, CallsWaitWhileAStorageIsHeld) {
    EXPECT_EQ(ask("/add"), "v1 1001");
    const std::shared_ptr<StorageVm> held = storage();
    ASSERT_TRUE(held->hold(soon(), [] { return false; }));
    auto waiting = std::async(std::launch::async, [&] { return ask("/add"); });
    eventually("a call waits", [&] { return held->report().calls_queued == 1; });
    EXPECT_EQ(held->hand_over([] { return false; }).size(), sizeof(long));
    EXPECT_EQ(held->report().calls_queued, 1U);
    held->release();
    EXPECT_EQ(waiting.get(), "v1 1002");
}

TEST_F(HandOverTest, OneAtATimeHoldsAStorage) {
    EXPECT_EQ(ask("/add"), "v1 1001");
    const auto never = [] { return false; };
    ASSERT_TRUE(storage()->hold(soon(), never));
    EXPECT_FALSE(storage()->hold(Clock::now(), never));
    EXPECT_EQ(storage()->hand_over(never).size(), sizeof(long));  // it is still held
    auto next = std::async(std::launch::async, [&] { return storage()->hold(soon(), never); });
    storage()->release();
    EXPECT_TRUE(next.get());
    storage()->release();
    EXPECT_EQ(ask("/add"), "v1 1002");
}

TEST_F(HandOverTest, WhoDoesNotWantToWaitForAStorageLeavesItAlone) {
    EXPECT_EQ(ask("/add"), "v1 1001");
    EXPECT_EQ(ask("/loop").substr(0, 3), "v1 ");
    ASSERT_TRUE(storage()->hold(soon(), [] { return false; }));
    EXPECT_THROW((void)storage()->hand_over([] { return true; }), Failure);
    storage()->release();
}

TEST_F(HandOverTest, AFailedUpdateLeavesTheStorageThatIsThere) {
    EXPECT_EQ(ask("/add"), "v1 1001");
    const std::shared_ptr<StorageVm> before = storage();
    service.set_main_arguments({"crash"});
    EXPECT_EQ(update("hand_over_next").substr(0, 34), "not ready: on_live_restore failed:");
    EXPECT_EQ(storage(), before);
    service.set_main_arguments({"boot"});
    EXPECT_NE(update("hand_over_next").find("its storage: the program exited with status 5"), std::string::npos);
    EXPECT_EQ(storage(), before);
    service.set_main_arguments({});
    EXPECT_EQ(ask("/add"), "v1 1002");
    EXPECT_EQ(update("hand_over_next"), "updated");
    EXPECT_NE(storage(), before);
    EXPECT_EQ(ask("/add"), "v2 1003");
    EXPECT_EQ(service.report().value().live_update_bytes, sizeof(long));
}

TEST_F(HandOverTest, ColdEndsAnUpdateThatHandsOver) {
    EXPECT_EQ(ask("/loop").substr(0, 3), "v1 ");
    auto updating = std::async(std::launch::async, [&] { return update("hand_over_next"); });
    eventually("the state is being handed over", [&] { return counters[Counter::boots] >= 2; });
    EXPECT_TRUE(service.activity().is_updating);
    service.cold();
    EXPECT_NE(updating.get(), "updated");
    EXPECT_FALSE(service.activity().is_updating);
}

TEST_F(HandOverTest, InvalidatingReplacesOneThatHandsOver) {
    EXPECT_FALSE(service.invalidate());
    EXPECT_EQ(ask("/add"), "v1 1001");
    EXPECT_TRUE(service.invalidate());
    EXPECT_TRUE(service.invalidate());
    EXPECT_TRUE(service.ready());  // meanwhile, too
    eventually("it was replaced", [&] { return service.report().value().live_updates >= 1; });
    EXPECT_EQ(ask("/add"), "v1 1002");
}

}  // namespace
}  // namespace tinykvm::host
