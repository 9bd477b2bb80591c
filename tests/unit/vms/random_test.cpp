// The random bits of requests: no other request has the same, whatever VM serves it and however that was made.
#include <set>
#include <vector>

#include "tests/unit/vtc_guest.hpp"

namespace tinykvm::host {
namespace {

class RandomTest : public VtcGuestTest {};

TEST_F(RandomTest, BitsOfNoTwoRequestsAreTheSame) {
    std::set<std::string> seen;
    std::size_t asked = 0;
    for (const bool ephemeral : {true, false}) {
        ProgramConfig config = guest_config("macros");
        config.concurrency = 3;
        config.ephemeral = ephemeral;
        const auto pool = std::make_shared<Pool>(boot(config), counters);
        for (int round = 0; round < 10; round++) {
            // Three VMs at the same time: forks of the same snapshot.
            std::vector<Lease> leases;
            for (int i = 0; i < 3; i++) {
                leases.push_back(pool->acquire(soon(), nullptr));
            }
            for (Lease& lease : leases) {
                Request request;
                request.url = "/random";
                lease->begin(request);
                const Outcome outcome = lease->run(nullptr);
                ASSERT_TRUE(outcome.answered);
                const std::string bits = body_of(*lease, outcome);
                EXPECT_EQ(bits.size(), 32U);
                // Each half on its own.
                seen.insert(bits.substr(0, 16));
                seen.insert(bits.substr(16));
                asked += 2;
            }
        }
    }
    EXPECT_EQ(seen.size(), asked);
}

}  // namespace
}  // namespace tinykvm::host
