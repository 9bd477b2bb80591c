// What a program can do wrong, and that nothing but its call is lost.
#include <csignal>
#include <thread>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/linux_process.hpp"
#include "tinykvm/debug/backtrace.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {
namespace {

using test::BootedGuest;
using test::error_of;
using test::in_seconds;

GuestFault::Details crash(BootedGuest& guest, Fork& fork, std::uint64_t kind) {
    try {
        guest.call(fork, "crash", {kind});
    } catch (const GuestFault& fault) {
        return fault.details();
    }
    ADD_FAILURE() << "crash " << kind << " went unnoticed";
    return {};
}

struct Crash {
    std::uint64_t kind;
    int signal;
    const char* reason;
};
const Crash crashes[] = {
    {0, SIGSEGV, "page fault at 0x8 (not mapped, write)"},
    {1, SIGILL, "invalid instruction"},
    {2, SIGFPE, "division error"},
    {3, SIGSEGV, "general protection fault"},
    {4, SIGSEGV, "general protection fault"},
    {5, SIGABRT, ""},
    {6, SIGSEGV, "execute"},
    {7, SIGSEGV, "write"},
    {8, SIGSEGV, "doorbell"},
    {9, SIGSEGV, "doorbell"},
    {10, SIGSEGV, "doorbell"},
    {11, 0, ""},
    {12, SIGSEGV, "page fault at 0xfffffffffffffff8"},
    {13, SIGILL, "invalid instruction"},
    {14, SIGSEGV, "general protection fault"},
    {15, SIGSEGV, "page fault at 0x7fffe01000"},
    {16, SIGSEGV, "page fault at 0x7fffe04000"},
    {17, SIGSEGV, "page fault at 0x7fffe20000"},
    {18, SIGSEGV, ""},
    {19, SIGTRAP, "breakpoint"},
    {20, SIGKILL, ""},
};

TEST(Fault, EveryKindOfCrashIsReportedAndTheForkServesOn) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (const Crash& c : crashes) {
        const GuestFault::Details details = crash(guest, fork, c.kind);
        if (c.signal) {
            EXPECT_EQ(details.signal, c.signal) << c.kind << " " << details.reason;
        }
        EXPECT_NE(details.reason.find(c.reason), std::string::npos) << c.kind << ": " << details.reason;
        fork.reset();
        EXPECT_EQ(guest.call(fork, "count"), 101u) << c.kind;
        EXPECT_EQ(guest.call(fork, "tls"), 8u) << c.kind;
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 3u);  // the odd uses of the doorbell page leave KVM in mid-instruction
}

// KVM goes on with an instruction it emulates piece by piece, in the next request if it is let.
TEST(Fault, AnInstructionOfOneRequestDoesNotGoOnInTheNext) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (std::uint64_t bytes : {1, 3, 63, 64, 65, 100, 1000, 1024, 3000, 5000}) {
        EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, "copy_from_doorbell", {bytes, 300}); }), "");
        fork.reset();
        EXPECT_EQ(guest.call(fork, "add", {1, 2}), 3u) << bytes;
        EXPECT_EQ(guest.call(fork, "sum", {290, 20}), 0u) << bytes;
        fork.reset();
        try {
            guest.call(fork, "copy_from_doorbell", {bytes, 300}, in_seconds(0));
        } catch (const Error&) {
        }
        fork.reset();
        EXPECT_EQ(guest.call(fork, "add", {1, 2}), 3u) << bytes;
        EXPECT_EQ(guest.call(fork, "sum", {290, 20}), 0u) << bytes;
        fork.reset();
    }
}

TEST(Fault, JumpsBeyondUserSpaceAreFaults) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, "jump_far"); }), "");
    fork.reset();
    const std::uint64_t none[] = {0};
    for (GuestAddr function : {GuestAddr{1} << 63, GuestAddr{0x800000000000}, ~GuestAddr{0}}) {
        EXPECT_NE(error_of<GuestFault>([&] { fork.call(function, none, guest.calls, test::patience()); }), "");
        fork.reset();
    }
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

TEST(Fault, BacktraceNamesTheFunctions) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    const GuestFault::Details details = crash(guest, fork, 0);
    EXPECT_EQ(details.backtrace.rfind("#0", 0), 0u) << details.backtrace;
    EXPECT_NE(details.backtrace.find("crash+0x"), std::string::npos) << details.backtrace;
    const GuestFault::Details aborted = (fork.reset(), crash(guest, fork, 5));
    EXPECT_NE(aborted.backtrace.find("abort"), std::string::npos) << aborted.backtrace;
}

// A file of the program's own making may have any name.
TEST(Fault, BacktraceIsFitForALog) {
    test::LinuxProcess guest;
    const Protection code{.read = true, .execute = true};
    ASSERT_EQ(guest.memory.map(0x400000, page_size, code, "/data/\n#1  0x1 main\x1b[2J\x7f"), 0);
    Registers registers;
    registers.rip = 0x400000;
    EXPECT_EQ(debug::backtrace(guest.memory, registers, {}), R"(#0  0x400000 (/data/\n#1  0x1 main\x1B[2J\x7F))"
                                                             "\n");
}

TEST(Fault, StackOverflowIsCalledThat) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    std::string error = error_of<GuestFault>([&] { guest.call(fork, "overflow_stack"); });
    EXPECT_NE(error.find("stack overflow"), std::string::npos) << error;
    fork.reset();
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

TEST(Fault, AHandlerOfTheProgramMayGoOn) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "handle_fault"), 1u);
    fork.reset();
    // The handler is gone with the request that installed it.
    EXPECT_EQ(crash(guest, fork, 0).signal, SIGSEGV);
}

TEST(Fault, SignalsRaisedAreHandled) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "raise_signal", {SIGUSR1}), static_cast<std::uint64_t>(SIGUSR1));
    EXPECT_EQ(guest.call(fork, "raise_signal", {SIGTERM}), static_cast<std::uint64_t>(SIGTERM));
}

// No page of the system block but the mailbox and those of hand-overs can be written, those of the tables not even be
// read.
TEST(Fault, SystemBlockCannotBeTouched) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (std::size_t offset = 0; offset < 0x40000; offset += page_size) {
        const GuestAddr address = x86::system_begin + offset;
        const bool of_hand_overs = offset - x86::hand_over_offset < x86::hand_over_size;
        if (address == x86::mailbox || of_hand_overs) continue;
        std::string error = error_of<GuestFault>([&] { guest.call(fork, "write_to", {address, 0}); });
        EXPECT_NE(error, "") << std::hex << address;
        fork.reset();
        const bool visible = offset == x86::clock_page_offset || offset == x86::shim_offset ||
                             (offset >= x86::vdso_offset && offset < x86::vectors_offset + x86::vectors_max_size);
        if (visible) continue;
        error = error_of<GuestFault>([&] { guest.call(fork, "read_from", {address}); });
        EXPECT_NE(error, "") << std::hex << address;
        fork.reset();
    }
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

// Whether threads have ever handed over or not.
TEST(Fault, HandOverPagesAreEmptyForTheNextRequest) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    const GuestAddr begin = x86::system_begin + x86::hand_over_offset;
    for (int i = 0; i < 3; ++i) {
        for (GuestAddr page = begin; page < begin + x86::hand_over_size; page += page_size)
            EXPECT_EQ(guest.call(fork, "write_to", {page + 8 * (page / page_size % 100), 0x1234}), 1u);
        fork.reset();
        for (GuestAddr page = begin; page < begin + x86::hand_over_size; page += page_size)
            EXPECT_EQ(guest.call(fork, "read_from", {page + 8 * (page / page_size % 100)}), 0u);
        EXPECT_THROW(guest.call(fork, "write_and_crash", {begin + 4096, 1}), GuestFault);
        fork.reset();
        EXPECT_EQ(guest.call(fork, "read_from", {begin + 4096}), 0u);
        fork.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

// A page of the system block that a guest may write, whether it was ever called through it or not.
TEST(Fault, TheMailboxIsEmptyForTheNextRequest) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (std::size_t offset : {std::size_t{0}, std::size_t{4}, std::size_t{256}, page_size - 8}) {
        for (int i = 0; i < 2; ++i) {
            EXPECT_EQ(guest.call(fork, "read_from", {x86::mailbox + 256}), 0u);
            fork.reset();
            EXPECT_THROW(guest.call(fork, "write_and_crash", {x86::mailbox + offset, 1}), GuestFault);
            fork.reset();
            EXPECT_EQ(guest.call(fork, "read_from", {x86::mailbox + offset}), 0u) << offset;
            fork.reset();
        }
    }
}

TEST(Fault, AGuestThatPretendsToBeTheShimGetsNothingButASystemCall) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    std::string error = error_of<GuestFault>([&] { guest.call(fork, "crash", {21}); });
    EXPECT_NE(error, "");
    fork.reset();
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

TEST(Deadline, EndsEverythingThatDoesNotEnd) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (const char* function : {"spin", "system_calls_for_ever", "sleep_long"}) {
        for (double seconds : {0.0, 0.001, 0.02}) {
            const auto begin = Clock::now();
            std::string error = error_of<Timeout>([&] { guest.call(fork, function, {}, in_seconds(seconds)); });
            EXPECT_NE(error, "") << function;
            EXPECT_GE(Clock::now() - begin, std::chrono::duration<double>(seconds)) << function;
            fork.reset();
            EXPECT_EQ(guest.call(fork, "count"), 101u) << function;
            EXPECT_EQ(guest.call(fork, "tls"), 8u) << function;
            fork.reset();
        }
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

// Stopped at random instants, then used again at once.
TEST(Deadline, AForkStoppedAnywhereServesTheNextCall) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    const char* functions[] = {"spin", "system_calls_for_ever", "overflow_stack", "allocate_all"};
    for (int i = 0; i < 300; ++i) {
        try {
            guest.call(fork, functions[i % 4], {}, in_seconds(0.0001 + 0.00001 * (i % 50)));
        } catch (const Error&) {
        }
        fork.reset();
        ASSERT_EQ(guest.call(fork, "count"), 101u) << i;
        ASSERT_EQ(guest.call(fork, "sum", {0, 100}), 128u) << i;
        fork.reset();
    }
}

TEST(Deadline, InterruptEndsACall) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    for (const char* function : {"spin", "sleep_long"}) {
        std::thread other([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
            fork.interrupt();
        });
        EXPECT_NE(error_of<Interrupted>([&] { guest.call(fork, function); }), "");
        other.join();
        fork.reset();
        EXPECT_EQ(guest.call(fork, "count"), 101u);
        fork.reset();
    }
}

}  // namespace
}  // namespace tinykvm
