// What a request may change or add depends on itself alone, holds at its peak, and is about all the host needs.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/huge_page_pool.hpp"
#include "tests/unit/polled_fork.hpp"
#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;
using test::patience;

constexpr std::size_t MiB = std::size_t{1} << 20;
constexpr std::uint64_t pages_of_a_mib = MiB / page_size;
// docs/design.md, "Limits": what a request may have beyond its limit until that is noticed.
constexpr std::size_t slack = 4 * MiB;

// The steps of tests/unit/guests/appetite.c.
enum Step : std::uint64_t {
    take = 1,
    unmap,
    discard,
    map_over,
    shrink,
    grow_break,
    shrink_break,
    write_heap,
    restore_heap,
    write_end_of_heap,
    discard_heap,
    move
};
std::uint64_t of(Step step, std::uint64_t pages) { return step | pages << 32; }
using Meal = std::vector<std::uint64_t>;

struct Guest : BootedGuest {
    explicit Guest(std::size_t limit, Options options = {})
        : BootedGuest("appetite", (options.max_request_memory = limit, options)), options(std::move(options)) {
        overhead = overhead_of([](auto n) { return Meal{of(take, n)}; });
        pages = limit / page_size - overhead;
    }

    // Pages such a request changes beside those it is about: its stack, variables. A snapshot of its own is asked,
    // because forks made after the first reset have pages that are in the peak before the request needs them.
    std::uint64_t overhead_of(const std::function<Meal(std::uint64_t)>& meal) const {
        BootedGuest alone("appetite", options);
        Fork fork(alone.snapshot);
        EXPECT_EQ(alone.call(fork, "eat", meal(64)), meal(64).size());
        fork.reset();
        return fork.memory().changes().last_peak_bytes() / page_size - 64;
    }
    // The largest such request that is within the limit.
    std::uint64_t most_of(const std::function<Meal(std::uint64_t)>& meal) {
        return pages + overhead - overhead_of(meal);
    }

    // Is the request within its limit?
    bool passes(Fork& fork, const Meal& meal) {
        const std::string error =
            error_of<OutOfMemory>([&] { EXPECT_EQ(call(fork, "eat", meal), meal.size()) << "a step was refused"; });
        EXPECT_TRUE(error.empty() || error.find("max_request_memory") != std::string::npos) << error;
        EXPECT_LE(fork.memory().own_bytes(), fork.memory().limits().bytes + slack);
        return error.empty();
    }

    Options options;
    std::uint64_t overhead = 0;  // of a request that takes memory once
    std::uint64_t pages = 0;     // that are left for it
};

// A peak of so many pages, given back in some way before half of it is taken again.
std::vector<std::pair<std::string, std::function<Meal(std::uint64_t)>>> peaks() {
    return {
        {"unmapped",
         [](auto n) {
             return Meal{of(take, n), of(unmap, n - n / 4), of(take, n / 2)};
         }},
        {"discarded",
         [](auto n) {
             return Meal{of(take, n), of(discard, n - n / 4), of(take, n / 2)};
         }},
        {"mapped over",
         [](auto n) {
             return Meal{of(take, n), of(map_over, n - n / 4), of(take, n / 2)};
         }},
        {"shrunk",
         [](auto n) {
             return Meal{of(take, n), of(shrink, n - n / 4), of(take, n / 2)};
         }},
        {"below the break",
         [](auto n) {
             return Meal{of(grow_break, n), of(shrink_break, n - n / 4), of(take, n / 2)};
         }},
        {"discarded in the program",
         [](auto n) {
             return Meal{of(write_heap, n), of(discard_heap, n), of(take, n / 2)};
         }},
        {"at the end",
         [](auto n) {
             return Meal{of(take, n / 2), of(unmap, n / 4), of(take, n - (n / 2 - n / 4))};
         }},
    };
}

// How much memory resets may keep.
std::vector<std::pair<std::string, std::size_t>> kept_amounts() {
    return {{"everything", std::numeric_limits<std::size_t>::max()}, {"nothing", 0}, {"some", MiB}};
}

TEST(MemoryLimit, HoldsAtThePeakToThePage) {
    Guest guest(5 * MiB);
    for (const auto& [name, meal] : peaks()) {
        SCOPED_TRACE(name);
        const std::uint64_t most = guest.most_of(meal);
        Fork fork(guest.snapshot);
        for (int round = 0; round < 3; ++round) {
            EXPECT_TRUE(guest.passes(fork, meal(most))) << round;
            fork.reset();
            EXPECT_FALSE(guest.passes(fork, meal(most + 1))) << round;
            fork.reset();
        }
    }
}

// What a mapping that is moved needs counts once: it is moved piece by piece.
TEST(MemoryLimit, CountsMappingsThatAreMovedOnce) {
    Guest guest(5 * MiB);
    Fork fork(guest.snapshot);
    for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(guest.passes(fork, {of(take, guest.pages - 512), of(take, 1), of(move, 64)})) << round;
        fork.reset();
        EXPECT_FALSE(guest.passes(fork, {of(take, guest.pages - 512), of(take, 513), of(move, 64)})) << round;
        fork.reset();
    }
}

// A program of issue 9: 104 MiB, of which it gives some back, answered at 60 MiB in some VMs.
TEST(MemoryLimit, WhoTakes104MiBAndGivesSomeBackIsAnsweredAlwaysOrNever) {
    Guest guest(60 * MiB);
    Fork fork(guest.snapshot);
    const auto mib = [](Step step, std::uint64_t n) { return of(step, n * pages_of_a_mib); };
    const Meal within{mib(write_heap, 20), mib(take, 38), mib(unmap, 32), mib(take, 32), mib(unmap, 30), mib(take, 14)};
    const Meal beyond{mib(write_heap, 20), mib(take, 42),  mib(discard, 38),
                      mib(take, 34),       mib(unmap, 20), mib(take, 8)};
    for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(guest.passes(fork, within)) << round;
        fork.reset();
        EXPECT_FALSE(guest.passes(fork, beyond)) << round;
        fork.reset();
    }
    for (int round = 0; round < 2; ++round) {
        Fork fresh(guest.snapshot);
        EXPECT_EQ(guest.passes(fresh, round == 0 ? within : beyond), round == 0);
    }
}

// Requests of all kinds in turns, in one VM, with what earlier ones left.
TEST(MemoryLimit, DoesNotDependOnEarlierRequests) {
    for (const std::size_t limit : {5 * MiB, 16 * MiB}) {
        for (const auto& [kept_name, kept] : kept_amounts()) {
            SCOPED_TRACE(std::to_string(limit / MiB) + " MiB, keeping " + kept_name);
            Options options;
            options.max_kept_memory = kept;
            Guest guest(limit, options);
            constexpr std::uint64_t few = 4;  // as much as such requests' overheads may differ
            const std::uint64_t n = guest.pages - few;
            std::vector<std::pair<Meal, bool>> meals = {
                {{of(take, 10)}, true},
                {{of(write_heap, n)}, true},
                {{of(write_end_of_heap, n)}, true},
                {{of(write_heap, n / 2), of(write_end_of_heap, n / 2)}, true},
                {{of(write_heap, n / 2), of(write_end_of_heap, n - n / 2 + 2 * few)}, false},
                {{of(write_heap, n), of(restore_heap, n), of(take, n)}, true},
                {{of(write_heap, n), of(restore_heap, n - 2 * few), of(take, n)}, false},
                {{of(write_end_of_heap, n / 2), of(take, n - n / 2), of(unmap, n / 4), of(take, n / 4 + 2 * few)},
                 false},
            };
            Fork fork(guest.snapshot);
            // Neighbours change from round to round.
            for (std::size_t stride : {1, 3})
                for (std::size_t i = 0; i < meals.size(); ++i) {
                    const std::size_t which = i * stride % meals.size();
                    EXPECT_EQ(guest.passes(fork, meals[which].first), meals[which].second) << which << " by " << stride;
                    fork.reset();
                }
        }
    }
}

// The host has no more than the limit and the slack to give, whatever earlier requests left and the host wrote.
TEST(MemoryLimit, IsWhatTheHostNeedsWhenAGuestWritesWithoutEnd) {
    for (const std::size_t limit : {1 * MiB, 8 * MiB, 9 * MiB, 17 * MiB}) {
        SCOPED_TRACE(limit / MiB);
        Guest guest(limit);
        Fork fork(guest.snapshot);
        const RequestArea area = fork.request_area();
        const std::vector<std::byte> body(limit * 3 / 4, std::byte{1});
        const auto must_fail = [&](const std::string& function, std::vector<std::uint64_t> arguments) {
            EXPECT_NE(error_of<OutOfMemory>([&] { guest.call(fork, function, arguments); }), "") << function;
            EXPECT_LE(fork.memory().own_bytes(), limit + slack) << function;
            fork.reset();
        };
        for (int round = 0; round < 3; ++round) {
            must_fail("gorge", {0, 3 * limit / page_size});
            must_fail("gorge_in_heap", {});
            EXPECT_TRUE(guest.passes(fork, {of(write_heap, guest.pages)}));
            fork.reset();
            ASSERT_TRUE(fork.memory().write(area.begin, body.data(), body.size()));
            must_fail("gorge_in_heap", {});
            ASSERT_TRUE(fork.memory().write(area.begin, body.data(), body.size()));
            must_fail("gorge", {0, 3 * limit / page_size});
            ASSERT_TRUE(fork.memory().write(area.begin, body.data(), body.size()));
            EXPECT_TRUE(guest.passes(fork, {of(take, (limit - body.size()) / page_size - guest.overhead)}));
            fork.reset();
        }
    }
}

// More than the slack counts even when it is as before again by the time the limit is checked.
TEST(MemoryLimit, HoldsForMemoryThatIsWrittenAndWiped) {
    for (const std::size_t limit : {9 * MiB, 16 * MiB}) {
        Guest guest(limit);
        Fork fork(guest.snapshot);
        for (int round = 0; round < 4; ++round) {
            EXPECT_EQ(guest.call(fork, "gorge_and_wipe", {guest.pages}), guest.pages);
            if (round % 2 == 0) fork.reset();
            EXPECT_NE(error_of<OutOfMemory>([&] { guest.call(fork, "gorge_and_wipe", {(limit + slack) / page_size}); }),
                      "")
                << round;
            fork.reset();
        }
    }
}

TEST(MemoryLimit, HoldsForCallsThroughTheMailbox) {
    Guest guest(9 * MiB);
    test::PolledFork polled(guest);
    const std::vector<std::byte> body(6 * MiB, std::byte{1});
    for (int round = 0; round < 3; ++round) {
        for (const bool too_much : {false, true}) {
            WAIT_OR_SKIP(polled);
            ASSERT_TRUE(polled.post("eat", {of(write_heap, guest.pages + (too_much ? 8 : -8))}));
            polled.listen();
            polled.join();
            EXPECT_EQ(polled.error.find("max_request_memory") != std::string::npos, too_much) << polled.error;
            EXPECT_LE(polled.fork.memory().own_bytes(), 9 * MiB + slack);
            polled.fork.reset();
        }
        // A body that was laid out while the guest waited.
        WAIT_OR_SKIP(polled);
        ASSERT_TRUE(polled.fork.memory().write(polled.fork.request_area().begin, body.data(), body.size()));
        if (polled.post("gorge_in_heap", {})) {
            polled.listen();
            polled.join();
            EXPECT_NE(polled.error.find("max_request_memory"), std::string::npos) << polled.error;
        } else {
            polled.fork.wake();
            polled.join();
            EXPECT_NE(error_of<OutOfMemory>([&] { guest.call(polled.fork, "gorge_in_heap"); }), "");
        }
        EXPECT_LE(polled.fork.memory().own_bytes(), 9 * MiB + slack);
        polled.fork.reset();
    }
}

TEST(MemoryLimit, IsTheSameWithHugePages) {
    test::HugePagePool pool;
    if (const std::string why = pool.take(); !why.empty()) GTEST_SKIP() << why;
    pool.set(16);
    for (const bool reserved : {false, true}) {
        Options options;
        options.transparent_huge_pages = !reserved;
        options.request_huge_page_arena = reserved ? 32 * MiB : 0;
        Guest guest(5 * MiB, options);
        Fork fork(guest.snapshot);
        for (int round = 0; round < 2; ++round)
            for (const auto& [name, meal] : peaks()) {
                const std::uint64_t most = guest.most_of(meal);
                EXPECT_TRUE(guest.passes(fork, meal(most))) << name << reserved;
                fork.reset();
                EXPECT_FALSE(guest.passes(fork, meal(most + 1))) << name << reserved;
                fork.reset();
            }
    }
}

// max_memory, for the VM that boots, by the same rule.
TEST(MemoryLimit, HoldsWhileAProgramBoots) {
    Options options;
    options.max_memory = 33 * MiB;
    options.max_request_memory = 1 * MiB;
    const auto program = Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/appetite");
    const auto boot_and_call = [&](const std::string& function, std::vector<std::uint64_t> arguments, int times) {
        test::Calls calls;
        Machine machine(program, options);
        machine.run(&calls, patience());
        return error_of<OutOfMemory>([&] {
            for (int i = 0; i < times; ++i) machine.call(calls.functions.at(function), arguments, calls, patience());
        });
    };
    const std::uint64_t n = 33 * pages_of_a_mib, small = 512;  // the program itself
    EXPECT_EQ(boot_and_call("eat", {of(grow_break, n - small), of(shrink_break, n - small)}, 3), "");
    const std::string error = boot_and_call("eat", {of(grow_break, n + small), of(shrink_break, n)}, 1);
    EXPECT_NE(error.find("max_memory"), std::string::npos) << error;
    EXPECT_NE(boot_and_call("gorge", {0, 3 * n}, 1), "");
}

TEST(MemoryLimit, ARequestsPeakIsKnownAfterReset) {
    Guest guest(16 * MiB);
    Fork fork(guest.snapshot);
    const auto peak_of = [&](const Meal& meal) {
        EXPECT_TRUE(guest.passes(fork, meal));
        fork.reset();
        return fork.memory().changes().last_peak_bytes() / page_size - guest.overhead;
    };
    std::vector<std::uint64_t> first;
    for (int round = 0; round < 3; ++round) {
        std::vector<std::uint64_t> found;
        for (const auto& [name, meal] : peaks()) {
            found.push_back(peak_of(meal(1000)));
            EXPECT_NEAR(static_cast<double>(found.back()), 1000, 2) << name;
        }
        found.push_back(peak_of({of(write_heap, 2000)}));
        EXPECT_EQ(peak_of({of(take, 1)}), 1u);
        EXPECT_EQ(peak_of({of(take, 3000)}), 3000u);
        EXPECT_EQ(peak_of({of(write_end_of_heap, 1000), of(take, 1000)}), 2000u);
        if (round == 0) first = found;
        EXPECT_EQ(found, first) << round;
    }
    EXPECT_EQ(fork.statistics().memory_peak, (3000 + guest.overhead) * page_size);
}

// Of these pages of guest-physical memory, how many the host has copies of for this fork alone
// (https://docs.kernel.org/admin-guide/mm/pagemap.html).
std::size_t count_private(Fork& fork, const std::vector<std::uint64_t>& pages) {
    constexpr std::uint64_t is_present = std::uint64_t{1} << 63, is_of_file = std::uint64_t{1} << 61;
    const FileDescriptor map(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    const auto begin = reinterpret_cast<std::uintptr_t>(fork.memory().system_block()) / page_size;
    return static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [&](std::uint64_t page) {
        std::uint64_t entry = 0;
        const auto at = static_cast<off_t>((begin + page) * sizeof entry);
        EXPECT_EQ(::pread(map.get(), &entry, sizeof entry, at), static_cast<ssize_t>(sizeof entry));
        return (entry & is_present) != 0 && (entry & is_of_file) == 0;
    }));
}

// What the host would else do page by page, while the first request waits.
TEST(WorkingSet, NewForksHaveCopiesOfThePagesThatARequestWrote) {
    constexpr std::uint64_t pages = 500;
    Guest guest(16 * MiB);
    BootedGuest fresh("appetite", guest.options);
    Fork first(fresh.snapshot), early(fresh.snapshot);
    EXPECT_EQ(early.memory().changes().own().size(), 0u);
    (void)fresh.call(first, "eat", {of(write_heap, pages), of(take, pages)});
    first.reset();

    Fork late(fresh.snapshot);
    const std::size_t copies = late.memory().changes().own().size();
    EXPECT_GE(copies, pages);
    EXPECT_LE(copies, pages + guest.overhead) << "memory that the request had mapped is not the program's";
    EXPECT_EQ(late.memory().changes().changed_bytes(), 0u);
    std::vector<std::uint64_t> numbers;
    late.memory().changes().own().for_each([&](std::uint64_t page) { numbers.push_back(page); });
    EXPECT_EQ(count_private(late, numbers), copies);
    EXPECT_LT(count_private(early, numbers), pages);
    // A request that needs other pages, up to its limit, has them all the same.
    late.reset();
    EXPECT_TRUE(guest.passes(late, {of(take, guest.pages)}));
}

TEST(WorkingSet, IsBoundedByWhatResetsKeep) {
    Options options;
    options.max_kept_memory = 100 * page_size;
    Guest guest(16 * MiB, options);
    BootedGuest fresh("appetite", guest.options);
    Fork first(fresh.snapshot);
    (void)fresh.call(first, "eat", {of(write_heap, 500)});
    first.reset();
    EXPECT_EQ(Fork(fresh.snapshot).memory().changes().own().size(), 100u);
}

}  // namespace
}  // namespace tinykvm
