// The cross-request battery (PITFALLS group A): whatever a request did, the next one sees what a first-ever request
// sees, whatever becomes of a fork's memory between them. TINYKVM_BATTERY_PAIRS sets the number of pairs over all modes
// (10,000; 100,000 on demand; fewer on emulated machines).
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "booted_guest.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::in_seconds;
using test::patience;

// What becomes of a fork's memory between two requests.
struct Mode {
    const char* name;
    std::size_t kept;
    bool transparent_huge_pages;
};
const Mode modes[] = {
    {"kept", Options().max_kept_memory, false},
    {"shrunk", 20 * page_size, false},
    {"notKept", 0, false},
    {"transparentHugePages", Options().max_kept_memory, true},
};

class Battery : public testing::TestWithParam<Mode> {
  protected:
    Battery() {
        options_.max_kept_memory = GetParam().kept;
        options_.transparent_huge_pages = GetParam().transparent_huge_pages;
        directory_ = std::filesystem::temp_directory_path() / ("tinykvm-battery-" + std::to_string(::getpid()));
        std::filesystem::create_directories(directory_);
        std::ofstream(directory_ / "file") << "0123456789";
        options_.allowed_paths.push_back({.virtual_path = "/data", .real_path = directory_.string()});
    }
    ~Battery() override { std::filesystem::remove_all(directory_); }

    static int pairs() {
        const char* text = std::getenv("TINYKVM_BATTERY_PAIRS");
        return (text ? std::atoi(text) : 10000) / static_cast<int>(std::size(modes));
    }

    std::filesystem::path directory_;
    Options options_;
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
            hash = hash * 31 + std::hash<std::string_view>()(
                                   {reinterpret_cast<const char*>(piece.data()), piece.size()});
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
    const View expected = look(guest, fresh);
    ASSERT_EQ(expected.size(), 13u);
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
    RecordProperty("pairs", n);
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

// A2: the directory a request changed to is gone before the next one looks.
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
