// Locks of files end with the answer, not with the reset after it: the next request may be in another VM.
#include "tests/unit/folder.hpp"
#include "tests/unit/vtc_guest.hpp"

namespace tinykvm::host {
namespace {

class LocksTest : public VtcGuestTest {
  protected:
    void SetUp() override {
        VtcGuestTest::SetUp();
        folder_.write("file", "shared");
    }

    ProgramConfig config() const {
        ProgramConfig config = guest_config("locker");
        config.concurrency = 2;
        config.allowed_paths = {{.virtual_path = "/data", .real_path = folder_.path, .writable = true}};
        return config;
    }

    // What a request finds of the locks of another one, which is answered and has not given its VM back.
    std::string found_beside(Pool& pool, const std::string& how) {
        Lease lease = pool.acquire(soon(), nullptr);
        Request request;
        request.argument = how;
        lease->begin(request);
        const Outcome outcome = lease->run(nullptr);
        EXPECT_EQ(outcome.answered, how != "crash") << how;
        if (outcome.answered) {
            EXPECT_EQ(body_of(*lease, outcome), "free") << how;
        }
        return get(pool, "/", "look");
    }

    const test::Folder folder_;
};

TEST_F(LocksTest, EndWithTheAnswer) {
    const auto vms = std::make_shared<Pool>(boot(config()), counters);
    for (int round = 0; round < 3; round++) {
        for (const char* how : {"record", "whole", "stream", "crash"}) {
            EXPECT_EQ(found_beside(*vms, how), "200 free") << how;
        }
    }
    vms->close(std::chrono::seconds(300));
}

// Locks of a program that is called inside its guest end with the answer as well.
TEST_F(LocksTest, EndWithTheAnswerWhenVmsPoll) {
    ProgramConfig polling = config();
    polling.poll.time = std::chrono::microseconds(500000);
    const auto vms = std::make_shared<Pool>(boot(polling), counters);
    for (int round = 0; round < 10; round++) {
        EXPECT_EQ(found_beside(*vms, round % 2 == 0 ? "record" : "whole"), "200 free");
    }
    vms->close(std::chrono::seconds(300));
}

// They are state like any other.
TEST_F(LocksTest, StayInProgramsThatAreNotEphemeral) {
    ProgramConfig lasting = config();
    lasting.ephemeral = false;
    const auto vms = std::make_shared<Pool>(boot(lasting), counters);
    EXPECT_EQ(found_beside(*vms, "record"), "200 locked");
    vms->close(std::chrono::seconds(300));
}

}  // namespace
}  // namespace tinykvm::host
