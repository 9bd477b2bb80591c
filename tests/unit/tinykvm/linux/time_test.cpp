// Waiting ends when it should; the clock page and the vDSO tell the time.
#include <dlfcn.h>
#include <elf.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/unit/linux_process.hpp"
#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/linux/vdso/vdso.hpp"
#include "tinykvm/os/address_sanitizer.hpp"

namespace tinykvm {
namespace {

using linux_abi::ClockPage;
using test::LinuxProcess;
constexpr GuestAddr arena = LinuxProcess::arena;

struct Time {
    std::int64_t seconds, nanoseconds;
};

TEST(WaitingTest, EveryBlockingCallEndsAtTheDeadline) {
    LinuxProcess guest;
    guest.call(SYS_pipe2, {arena, 0});
    const auto reader = static_cast<std::uint64_t>(guest.get<int>(arena)),
               writer = static_cast<std::uint64_t>(guest.get<int>(arena + 4));
    const auto event = static_cast<std::uint64_t>(guest.call(SYS_eventfd2, {0, 0}));
    const GuestAddr for_ever = guest.put_value(Time{1'000'000'000, 0}),
                    zero = guest.put_value(std::uint64_t{0}, arena + 0x100);
    const GuestAddr entry = guest.put_value(pollfd{static_cast<int>(reader), POLLIN, 0}, arena + 0x200);
    const GuestAddr set = guest.put_value(std::uint64_t{1} << reader, arena + 0x300);
    const GuestAddr most = guest.put_value(~std::uint64_t{0} - 1, arena + 0x400);
    const std::vector<std::pair<std::uint64_t, std::vector<std::uint64_t>>> calls = {
        {SYS_read, {reader, arena, 1}},
        {SYS_readv, {reader, guest.put_value(std::array<std::uint64_t, 2>{arena, 1}, arena + 0x500), 1}},
        {SYS_read, {event, arena, 8}},
        {SYS_poll, {entry, 1, static_cast<std::uint64_t>(-1)}},
        {SYS_poll, {entry, 1, 100000000}},
        {SYS_ppoll, {entry, 1, 0, 0, 8}},
        {SYS_ppoll, {entry, 1, for_ever, 0, 8}},
        {SYS_select, {reader + 1, set, 0, 0, 0}},
        {SYS_pselect6, {reader + 1, set, 0, 0, for_ever, 0}},
        {SYS_nanosleep, {for_ever, 0}},
        {SYS_clock_nanosleep, {CLOCK_MONOTONIC, 0, for_ever, 0}},
        {SYS_clock_nanosleep,
         {CLOCK_REALTIME, TIMER_ABSTIME, guest.put_value(Time{INT64_MAX, 999999999}, arena + 0x600), 0}},
        {SYS_futex, {zero, FUTEX_WAIT, 0, 0}},
        {SYS_futex, {zero, FUTEX_WAIT_PRIVATE, 0, for_ever}},
        {SYS_futex, {zero, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, 0, 0, ~0u}},
        {SYS_pause, {}},
        {SYS_rt_sigsuspend, {zero, 8}},
        {SYS_rt_sigtimedwait, {zero, 0, 0, 8}},
        {SYS_rt_sigtimedwait, {zero, 0, for_ever, 8}},
        {SYS_write, {writer, arena, 0x20000}},  // last: it fills the pipe
    };
    for (const auto& [number, arguments] : calls) {
        const auto begin = Clock::now();
        guest.deadline = begin + std::chrono::milliseconds(30);
        EXPECT_THROW(guest.call(number, arguments), Timeout) << "system call " << number;
        const auto took = Clock::now() - begin;
        EXPECT_GE(took, std::chrono::milliseconds(30)) << number;
        EXPECT_LT(took, std::chrono::milliseconds(800)) << number;
    }
    // A counter that is full blocks the writer too.
    guest.deadline.reset();
    guest.call(SYS_write, {event, most, 8});
    guest.deadline = Clock::now() + std::chrono::milliseconds(30);
    EXPECT_THROW(guest.call(SYS_write, {event, most, 8}), Timeout);
}

TEST(WaitingTest, AnInterruptEndsItToo) {
    LinuxProcess guest;
    std::atomic<bool> interrupted{false};
    guest.process.set_interrupt_flag(&interrupted);
    std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        interrupted = true;
    });
    const auto begin = Clock::now();
    EXPECT_THROW(guest.call(SYS_pause), Interrupted);
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(2));
    other.join();
}

TEST(WaitingTest, DeadlinesMayBeFarAwayOrPast) {
    LinuxProcess guest;
    guest.deadline = Deadline::max();
    EXPECT_EQ(guest.call(SYS_nanosleep, {guest.put_value(Time{0, 1000}), 0}), 0);
    guest.deadline = Deadline::min();
    EXPECT_THROW(guest.call(SYS_pause), Timeout);
    EXPECT_EQ(guest.call(SYS_getpid), linux_abi::first_process_id) << "what does not wait is not refused";
}

TEST(WaitingTest, TimesAreCheckedBeforeTheyAreUsed) {
    LinuxProcess guest;
    const GuestAddr zero = guest.put_value(std::uint64_t{0}, arena + 0x100);
    for (std::int64_t seconds :
         {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1'000'000'000}, INT64_MAX, INT64_MIN}) {
        for (std::int64_t nanoseconds :
             {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1'000'000'000}, INT64_MAX, INT64_MIN}) {
            const GuestAddr time = guest.put_value(Time{seconds, nanoseconds});
            const bool valid = seconds >= 0 && nanoseconds == 0;
            const std::vector<std::vector<std::uint64_t>> calls = {
                {SYS_nanosleep, time, 0, 0, 0, 0, 0},
                {SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, time, 0, 0, 0},
                {SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, time, 0, 0, 0},
                {SYS_futex, zero, FUTEX_WAIT, 0, time, 0, 0},
                {SYS_futex, zero, FUTEX_WAIT_BITSET, 0, time, 0, ~0u},
                {SYS_ppoll, 0, 0, time, 0, 8, 0},
                {SYS_pselect6, 0, 0, 0, 0, time, 0},
                {SYS_rt_sigtimedwait, zero, 0, time, 8, 0, 0},
            };
            for (const auto& call : calls) {
                guest.put_value(Time{seconds, nanoseconds});
                guest.deadline = Clock::now() + std::chrono::milliseconds(5);
                std::int64_t result = 0;
                try {
                    result = guest.call(call[0], {call.begin() + 1, call.end()});
                } catch (const Timeout&) {
                    EXPECT_TRUE(valid) << call[0] << " " << seconds << " " << nanoseconds;
                    continue;
                }
                if (!valid) {
                    EXPECT_EQ(result, -EINVAL) << call[0] << " " << seconds << " " << nanoseconds;
                }
            }
        }
    }
}

TEST(WaitingTest, TimeoutsAreReportedInTime) {
    LinuxProcess guest;
    const GuestAddr zero = guest.put_value(std::uint64_t{0}, arena + 0x100);
    const auto took = [&](std::uint64_t number, std::vector<std::uint64_t> arguments, std::int64_t expected) {
        guest.put_value(Time{0, 30'000'000});
        const auto begin = Clock::now();
        EXPECT_EQ(guest.call(number, std::move(arguments)), expected) << number;
        EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(30)) << number;
        EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds(800)) << number;
    };
    const GuestAddr time = arena + 0x3E000;
    took(SYS_nanosleep, {time, 0}, 0);
    took(SYS_futex, {zero, FUTEX_WAIT, 0, time}, -ETIMEDOUT);
    took(SYS_poll, {0, 0, 30}, 0);
    took(SYS_ppoll, {0, 0, time, 0, 8}, 0);
    took(SYS_pselect6, {0, 0, 0, 0, time, 0}, 0);
    took(SYS_rt_sigtimedwait, {zero, 0, time, 8}, -EAGAIN);
    EXPECT_EQ(guest.call(SYS_futex, {zero, FUTEX_WAIT, 5, 0}), -EAGAIN);
    EXPECT_EQ(guest.call(SYS_futex, {zero, FUTEX_WAKE, 1}), 0);
    EXPECT_EQ(guest.call(SYS_futex, {zero + 1, FUTEX_WAIT, 0, 0}), -EINVAL);
    EXPECT_EQ(guest.call(SYS_futex, {zero, FUTEX_LOCK_PI, 0, 0}), -ENOSYS);
}

// --- The clock page, read as guests do

std::int64_t host_time(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// The vDSO, loaded into this process, with the clock page where it looks for it.
class VdsoTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
#ifdef TINYKVM_ADDRESS_SANITIZER
        return;  // it has its shadow where guests have the clock page
#endif
        page = ::mmap(reinterpret_cast<void*>(x86::clock_page), page_size, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE,
                      ClockPage::instance().fd(), 0);
        ASSERT_EQ(page, reinterpret_cast<void*>(x86::clock_page));
        object = ::dlopen(TINYKVM_BUILD_DIR "/tinykvm/linux/vdso.so", RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(object, nullptr) << ::dlerror();
    }
    void SetUp() override {
        if (!object) GTEST_SKIP() << "the clock page cannot be where guests have it";
        if (!ClockPage::instance().enabled()) GTEST_SKIP() << "the counter of this host is no clock";
    }
    template <typename Function>
    static Function* find(const char* name) {
        return reinterpret_cast<Function*>(::dlvsym(object, name, "LINUX_2.6"));
    }
    static std::int64_t read(int clock) {
        static auto* const function = find<int(int, Time*)>("__vdso_clock_gettime");
        Time time{};
        return function(clock, &time) == 0 ? time.seconds * 1'000'000'000 + time.nanoseconds : -1;
    }

    static inline void* page = nullptr;
    static inline void* object = nullptr;
};

TEST_F(VdsoTest, FitsAndHasItsNames) {
    EXPECT_LE(linux_abi::vdso_image().size(), x86::vdso_max_size);
    for (const char* name : {"clock_gettime", "gettimeofday", "time", "clock_getres", "getcpu"}) {
        EXPECT_NE(find<void()>(name), nullptr) << name;
        EXPECT_EQ(find<void()>(name), find<void()>(("__vdso_" + std::string(name)).c_str()));
    }
}

// dlopen() of glibc 2.41 and newer refuses a library that does not say so.
TEST(Vdso, NeedsNoExecutableStack) {
    const std::span<const std::byte> image = linux_abi::vdso_image();
    Elf64_Ehdr header;
    ASSERT_GE(image.size(), sizeof header);
    std::memcpy(&header, image.data(), sizeof header);
    std::vector<Elf64_Word> flags;
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        const std::size_t offset = header.e_phoff + static_cast<std::size_t>(i) * sizeof segment;
        std::memcpy(&segment, image.subspan(offset, sizeof segment).data(), sizeof segment);
        if (segment.p_type == PT_GNU_STACK) flags.push_back(segment.p_flags);
    }
    EXPECT_EQ(flags, std::vector<Elf64_Word>{PF_R | PF_W});
}

TEST_F(VdsoTest, AgreesWithTheHost) {
    for (int i = 0; i < 200; ++i) {
        ClockPage::instance().refresh();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (int clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI}) {
        std::int64_t best = INT64_MAX;
        for (int i = 0; i < 2000; ++i) {
            ClockPage::instance().refresh();
            const std::int64_t before = host_time(clock), shown = read(clock), after = host_time(clock);
            const std::int64_t wrong = shown < before ? before - shown : shown > after ? shown - after : 0;
            best = std::min(best, wrong);
        }
        EXPECT_LT(best, 5'000) << "nanoseconds, clock " << clock;
    }
}

TEST_F(VdsoTest, StaysRightForSecondsWithoutARefresh) {
    for (int i = 0; i < 300; ++i) {
        ClockPage::instance().refresh();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::seconds(2));
    std::int64_t best = INT64_MAX;
    for (int i = 0; i < 100; ++i) {
        const std::int64_t before = host_time(CLOCK_MONOTONIC), shown = read(CLOCK_MONOTONIC),
                           after = host_time(CLOCK_MONOTONIC);
        best = std::min(best, shown < before ? before - shown : shown > after ? shown - after : 0);
    }
    EXPECT_LT(best, 100'000) << "nanoseconds after two seconds";
}

TEST_F(VdsoTest, NeverGoesBackWhileOthersRefresh) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> refreshers;
    for (int i = 0; i < 3; ++i)
        refreshers.emplace_back([&] {
            while (!stop) ClockPage::instance().refresh();
        });
    std::atomic<std::int64_t> worst{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i)
        readers.emplace_back([&] {
            std::int64_t last = 0;
            const auto end = Clock::now() + std::chrono::seconds(2);
            while (Clock::now() < end) {
                for (int j = 0; j < 1000; ++j) {
                    const std::int64_t now = read(CLOCK_MONOTONIC);
                    if (now < last) worst = std::max(worst.load(), last - now);
                    last = now;
                }
            }
        });
    for (auto& thread : readers) thread.join();
    stop = true;
    for (auto& thread : refreshers) thread.join();
    EXPECT_EQ(worst.load(), 0);
}

TEST_F(VdsoTest, OtherFunctions) {
    timeval day{};
    EXPECT_EQ(find<int(timeval*, void*)>("gettimeofday")(&day, nullptr), 0);
    EXPECT_NEAR(static_cast<double>(day.tv_sec), static_cast<double>(::time(nullptr)), 1);
    std::int64_t seconds = 0;
    EXPECT_EQ(find<std::int64_t(std::int64_t*)>("time")(&seconds), seconds);
    unsigned cpu = 7, node = 7;
    EXPECT_EQ(find<int(unsigned*, unsigned*, void*)>("getcpu")(&cpu, &node, nullptr), 0);
    EXPECT_EQ(cpu + node, 0u);
    Time time{};
    EXPECT_EQ(find<int(int, Time*)>("clock_gettime")(CLOCK_PROCESS_CPUTIME_ID, &time), 0) << "by the system";
    EXPECT_EQ(find<int(int, Time*)>("clock_gettime")(-1, &time), -EINVAL);
    EXPECT_EQ(find<int(int, Time*)>("clock_gettime")(INT32_MAX, &time), -EINVAL);
    EXPECT_EQ(find<int(int, Time*)>("clock_getres")(CLOCK_MONOTONIC, &time), 0);
}

// A machine whose counter is its own maps zeros: then everything is asked of the system.
TEST_F(VdsoTest, WithoutAClockPageTheSystemIsAsked) {
    void* zeros = ::mmap(page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    ASSERT_EQ(zeros, page);
    const std::int64_t before = host_time(CLOCK_MONOTONIC), shown = read(CLOCK_MONOTONIC),
                       after = host_time(CLOCK_MONOTONIC);
    EXPECT_LE(before, shown);
    EXPECT_LE(shown, after);
    ::mmap(page, page_size, PROT_READ, MAP_SHARED | MAP_FIXED, ClockPage::instance().fd(), 0);
}

TEST_F(VdsoTest, SystemCallsTellTheSame) {
    LinuxProcess guest;
    std::int64_t last = 0;
    for (int i = 0; i < 2000; ++i) {
        const std::int64_t shown = read(CLOCK_MONOTONIC);
        guest.call(SYS_clock_gettime, {CLOCK_MONOTONIC, arena});
        const Time time = guest.get<Time>(arena);
        const std::int64_t called = time.seconds * 1'000'000'000 + time.nanoseconds;
        ASSERT_LE(last, shown);
        ASSERT_LE(shown, called);
        last = called;
    }
}

}  // namespace
}  // namespace tinykvm
