// What a debugger does in a fork stays there: neither the snapshot nor sister forks see it, and reset ends it.
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "tests/unit/booted_guest.hpp"
#include "tinykvm/debug/breakpoints.hpp"
#include "tinykvm/debug/debugger.hpp"

namespace tinykvm {
namespace {

using debug::Debugger;
using test::BootedGuest;
using test::error_of;

// Takes a program that crashes into its hands, sets a breakpoint at a function, and lets it go on there.
class Rescuer final : public Debugger {
  public:
    explicit Rescuer(GuestAddr function) : function_(function) {}

    bool is_attached() const override { return attached; }
    Resume stopped(debug::Target& target, int signal, Event event) override {
        events.push_back(event);
        signals.push_back(signal);
        if (interrupt) interrupt();
        if (event == Event::crash && rescues) {
            attached = true;
            EXPECT_TRUE(breakpoints.insert(target, function_));
            debug::ThreadRegisters registers = target.registers(target.threads().front());
            registers.general.rip = function_;
            registers.general.rdi = 40;
            registers.general.rsi = 2;
            EXPECT_TRUE(target.set_registers(registers));
            return Resume::go_on;
        }
        std::array<std::byte, 4> code{};
        EXPECT_EQ(target.read(function_, code), true);
        EXPECT_FALSE(target.read(0x10, code));
        EXPECT_EQ(target.write(0x10, code), false);
        if (breakpoints.contains(target.registers(target.threads().front()).general.rip)) {
            ++hits;
            breakpoints.remove_all(target);
            if (forgotten != 0) {
                EXPECT_TRUE(breakpoints.insert(target, forgotten));
            }
        }
        return event == Event::crash ? Resume::deliver : Resume::go_on;
    }
    bool has_breakpoint(GuestAddr address) const override { return breakpoints.contains(address); }
    bool wants_stop() override { return false; }
    Deadline deadline() const override { return test::patience(); }
    void let_go(debug::Target& target) override {
        breakpoints.remove_all(target);
        attached = false;
    }

    bool attached = false, rescues = true;
    GuestAddr forgotten = 0;  // where it leaves a breakpoint
    std::function<void()> interrupt;
    int hits = 0;
    std::vector<Event> events;
    std::vector<int> signals;
    debug::Breakpoints breakpoints;

  private:
    const GuestAddr function_;
};

TEST(ForkDebugging, ABreakpointIsInOneForkUntilItIsReset) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot), sister(guest.snapshot);
    Rescuer debugger(guest.calls.functions.at("add"));
    fork.set_debugger(debugger);
    EXPECT_EQ(guest.call(fork, "add", {1, 2}), 3u);
    fork.reset();
    EXPECT_EQ(fork.statistics().rebuilds, 0u);

    EXPECT_EQ(guest.call(fork, "crash", {0}), 42u);
    EXPECT_EQ(debugger.hits, 1);
    EXPECT_EQ(debugger.events, (std::vector<Debugger::Event>{Debugger::Event::crash, Debugger::Event::signal}));
    EXPECT_EQ(debugger.signals, (std::vector<int>{SIGSEGV, SIGTRAP}));
    EXPECT_TRUE(fork.changed_by_debugger());

    // Another one that nobody takes out.
    debugger.forgotten = guest.calls.functions.at("count");
    debugger.events.clear();
    fork.end_debugging();
    EXPECT_FALSE(debugger.attached);
    EXPECT_EQ(guest.call(fork, "crash", {0}), 42u);
    EXPECT_EQ(guest.call(sister, "count"), 101u);
    Fork later(guest.snapshot);
    EXPECT_EQ(guest.call(later, "count"), 101u);
    debugger.attached = false;

    EXPECT_FALSE(fork.reset_if_quick());
    fork.reset();
    EXPECT_EQ(fork.statistics().rebuilds, 1u);
    EXPECT_FALSE(fork.changed_by_debugger());
    EXPECT_EQ(guest.call(fork, "count"), 101u);
}

TEST(ForkDebugging, WithoutADebuggerACrashIsOne) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    Rescuer debugger(guest.calls.functions.at("add"));
    debugger.rescues = false;
    fork.set_debugger(debugger);
    EXPECT_NE(error_of<GuestFault>([&] { guest.call(fork, "crash", {0}); }).find("SIGSEGV"), std::string::npos);
    EXPECT_EQ(debugger.events, std::vector<Debugger::Event>{Debugger::Event::crash});
    fork.reset();
    EXPECT_EQ(guest.call(fork, "add", {1, 2}), 3u);
}

TEST(ForkDebugging, AnInterruptEndsTheSession) {
    BootedGuest guest("worker");
    Fork fork(guest.snapshot);
    Rescuer debugger(guest.calls.functions.at("add"));
    debugger.interrupt = [&] { fork.interrupt(); };
    fork.set_debugger(debugger);
    EXPECT_NE(error_of<Interrupted>([&] { guest.call(fork, "crash", {0}); }), "");
    fork.end_debugging();
    fork.reset();
    debugger.interrupt = nullptr;
    EXPECT_EQ(guest.call(fork, "add", {1, 2}), 3u);
}

}  // namespace
}  // namespace tinykvm
