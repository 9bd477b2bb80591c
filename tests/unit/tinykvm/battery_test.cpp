// The cross-request battery: whatever a request did, the next one sees what a first-ever request sees.
// TINYKVM_BATTERY_PAIRS sets the number of pairs, over all modes (10,000; 100,000 on demand; fewer on emulated
// machines).
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "tests/unit/huge_page_pool.hpp"
#include "tests/unit/polled_fork.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::in_seconds;
using test::patience;
using test::PolledFork;

// What becomes of a fork's memory between two requests.
struct Mode {
    const char* name;
    std::size_t kept;
    enum { small, transparent, reserved } pages;
    std::size_t shared_memory = 0;
    unsigned cpus = 1;
};
constexpr Mode modes[] = {
    {"kept", std::numeric_limits<std::size_t>::max(), Mode::small},
    {"shrunk", 20 * page_size, Mode::small},
    {"notKept", 0, Mode::small},
    {"transparentHugePages", std::numeric_limits<std::size_t>::max(), Mode::transparent},
    {"reservedHugePages", std::numeric_limits<std::size_t>::max(), Mode::reserved},
    {"sharedMemory", std::numeric_limits<std::size_t>::max(), Mode::small, std::size_t{3} << 20},
    {"furtherCpus", std::numeric_limits<std::size_t>::max(), Mode::small, 0, 3},
};

class Battery : public testing::TestWithParam<Mode> {
  protected:
    Battery() {
        options_.max_kept_memory = GetParam().kept;
        options_.transparent_huge_pages = GetParam().pages == Mode::transparent;
        options_.shared_memory = GetParam().shared_memory;
        options_.cpus = GetParam().cpus;
        directory_ = std::filesystem::temp_directory_path() / ("tinykvm-battery-" + std::to_string(::getpid()));
        std::filesystem::create_directories(directory_);
        std::ofstream(directory_ / "file") << "0123456789";
        options_.allowed_paths.push_back({.virtual_path = "/data", .real_path = directory_.string()});
    }
    ~Battery() override { std::filesystem::remove_all(directory_); }

    // Reserved huge pages are more than a small request area has room for: the program's heap and stack get some too.
    void SetUp() override {
        if (GetParam().pages != Mode::reserved) return;
        constexpr long each = 16, forks = 3;
        if (const std::string why = pool_.take(); !why.empty()) GTEST_SKIP() << why;
        if (!pool_.set(each * forks)) GTEST_SKIP() << "the host has no room for " << each * forks << " huge pages";
        options_.max_request_memory = std::size_t{16} << 20;
        options_.request_huge_page_arena = each * large_page_size;
        options_.warn = [](std::string_view line) { ADD_FAILURE() << line; };
    }
    static void expect_its_pages(Fork& fork) {
        EXPECT_EQ(fork.memory().reserved_huge() > 0, GetParam().pages == Mode::reserved);
    }

    static int pairs() {
        const char* text = std::getenv("TINYKVM_BATTERY_PAIRS");
        return (text ? std::atoi(text) : 10000) / static_cast<int>(std::size(modes));
    }

    std::filesystem::path directory_;
    Options options_;

  private:
    test::HugePagePool pool_;
};

// Digest and its parts.
using View = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

// All of it, or only what the guest can tell without system calls.
View look(BootedGuest& guest, Fork& fork, bool everything = true) {
    guest.call(fork, "inspect", {everything});
    return guest.calls.notes;
}

// Every byte a guest could read.
std::size_t hash_memory(Fork& fork) {
    std::size_t hash = 0;
    for (const auto& [begin, region] : fork.memory().regions()) {
        if (!region.protection.accessible() || region.name == "[vvar]") continue;
        for (GuestAddr at = region.begin; at < region.end;) {
            auto piece = fork.memory().readable(at, region.end - at);
            hash =
                hash * 31 + std::hash<std::string_view>()({reinterpret_cast<const char*>(piece.data()), piece.size()});
            at += piece.size();
        }
    }
    return hash;
}

INSTANTIATE_TEST_SUITE_P(Modes, Battery, testing::ValuesIn(modes),
                         [](const auto& mode) { return std::string(mode.param.name); });

TEST_P(Battery, ARequestNeverSeesTheOneBefore) {
    BootedGuest guest("battery", options_);
    Fork fresh(guest.snapshot);
    const std::size_t hash_of_fresh = hash_memory(fresh);
    const View expected = look(guest, fresh);
    ASSERT_EQ(expected.size(), 14u);
    const View expected_briefly(expected.begin(), expected.begin() + 8);
    {
        Fork another(guest.snapshot);
        ASSERT_EQ(look(guest, another), expected) << "two fresh forks differ: the battery itself is wrong";
    }
    Fork fork(guest.snapshot);
    std::mt19937_64 random(5 + static_cast<unsigned>(GetParam().name[0]));
    const int n = pairs();
    for (int i = 0; i < n; ++i) {
        const std::uint64_t tag = random() | 1;
        // Everything at once now and then; a spinning and a crashing end rarely, because they cost time.
        std::uint64_t how = i % 16 == 0 ? 0x7FF : random() & 0x7FF;
        const bool spins = i % 97 == 5, crashes = i % 31 == 7;
        if (spins) how = (how & ~0x400u) | 0x800;
        if (crashes) how = (how & ~0x400u) | 0x1000;
        const std::uint64_t arguments[] = {tag, how};
        try {
            fork.call(guest.calls.functions.at("dirty"), arguments, guest.calls,
                      spins ? in_seconds(0.003) : patience());
            ASSERT_FALSE(spins || crashes);
        } catch (const Timeout&) {
            ASSERT_TRUE(spins);
        } catch (const GuestFault& fault) {
            ASSERT_TRUE(crashes) << fault.report();
        }
        fork.reset();
        const bool everything = i % 10 == 0;
        ASSERT_EQ(look(guest, fork, everything), everything ? expected : expected_briefly)
            << "pair " << i << ", how " << std::hex << how;
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
    expect_its_pages(fork);
    // It is known by now what requests write, and new forks have it before their first one.
    Fork late(guest.snapshot);
    EXPECT_EQ(late.memory().changes().own().size() > 0, GetParam().kept > 0);
    EXPECT_EQ(hash_memory(late), hash_of_fresh);
    EXPECT_EQ(look(guest, late), expected) << "a fork made later";
    RecordProperty("pairs", n);
}

// Through the mailbox ("Calls without entering"): no request sees what any request before it has left, however it is
// called. Fewer pairs, because two threads that spin are slow beside other work.
TEST_P(Battery, ARequestInAGuestThatWaitsNeverSeesTheOneBefore) {
    BootedGuest guest("battery", options_);
    const auto look_entered = [&](PolledFork& polled) {
        EXPECT_TRUE(polled.wait());
        EXPECT_TRUE(polled.post("inspect", {0}));
        polled.listen();
        polled.join();
        return guest.calls.notes;
    };
    Fork fresh(guest.snapshot);
    guest.call(fresh, "inspect", {0});
    const auto expected = guest.calls.notes;
    ASSERT_EQ(expected.size(), 8u);
    PolledFork polled(guest);
    WAIT_OR_SKIP(polled, std::chrono::microseconds(1));
    polled.join();
    polled.fork.reset();

    std::mt19937_64 random(7);
    for (int i = 0; i < pairs() / 50 + 10; ++i) {
        std::uint64_t how = i % 16 == 0 ? 0x7FF : random() & 0x7FF;
        const bool spins = i % 97 == 5, crashes = i % 31 == 7;
        if (spins) how = (how & ~0x400u) | 0x800;
        if (crashes) how = (how & ~0x400u) | 0x1000;
        ASSERT_TRUE(polled.wait());
        ASSERT_TRUE(polled.post("dirty", {random() | 1, how}, spins ? in_seconds(0.003) : patience()));
        polled.listen();
        polled.join();
        ASSERT_EQ(polled.error.empty(), !spins && !crashes) << polled.error;
        polled.fork.reset();
        if (i % 2) {
            ASSERT_EQ(look_entered(polled), expected) << "pair " << i << ", how " << std::hex << how;
        } else {
            guest.call(polled.fork, "inspect", {0});
            ASSERT_EQ(guest.calls.notes, expected) << "pair " << i << ", how " << std::hex << how;
        }
        polled.fork.reset();
    }
    expect_its_pages(polled.fork);
}

TEST_P(Battery, RecycledMemoryIsTheSnapshotByteForByte) {
    BootedGuest guest("battery", options_);
    Fork fresh(guest.snapshot), fork(guest.snapshot);
    const std::size_t expected = hash_memory(fresh);
    std::mt19937_64 random(6);
    for (int i = 0; i < 40; ++i) {
        const std::uint64_t arguments[] = {random(), random() & 0x7FF};
        fork.call(guest.calls.functions.at("dirty"), arguments, guest.calls, patience());
        fork.reset();
        ASSERT_TRUE(fork.memory().regions() == fresh.memory().regions()) << i;
        ASSERT_EQ(hash_memory(fork), expected) << i;
    }
}

// The directory a request changed to is gone before the next one looks.
TEST_P(Battery, WorkingDirectoryIsTheSnapshots) {
    BootedGuest guest("battery", options_);
    Fork fork(guest.snapshot);
    const View expected = look(guest, fork);
    fork.reset();
    const std::uint64_t arguments[] = {1, 128};
    fork.call(guest.calls.functions.at("dirty"), arguments, guest.calls, patience());
    std::filesystem::remove_all(directory_);
    fork.reset();
    EXPECT_EQ(look(guest, fork), expected);
}

}  // namespace
}  // namespace tinykvm
