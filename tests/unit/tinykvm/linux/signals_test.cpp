// Signal frames as a program finds them, and what a program may not do with them.
#include <ucontext.h>

#include <csignal>

#include "tests/unit/linux_process.hpp"

namespace tinykvm {
namespace {

using linux_abi::Outcome;
using test::LinuxProcess;
constexpr GuestAddr arena = LinuxProcess::arena;
constexpr std::uint64_t restorer_flag = 0x04000000;

class SignalsTest : public testing::Test {
  protected:
    SignalsTest() {
        for (std::size_t i = 0; i < guest.vectors.image.size(); ++i)
            guest.vectors.image[i] = i < 464 ? static_cast<std::byte>(i) : std::byte{0};
    }
    void install(int signal, std::uint64_t flags = SA_SIGINFO, linux_abi::SignalSet mask = 0) {
        const linux_abi::SignalAction action{0x401000, flags | restorer_flag, 0x402000, mask};
        ASSERT_EQ(guest.call(SYS_rt_sigaction, {static_cast<std::uint64_t>(signal), guest.put_value(action), 0, 8}), 0);
    }
    void give_registers() {
        Registers& r = guest.registers;
        r.rbx = 2, r.rbp = 7, r.r12 = 12, r.r13 = 13, r.r14 = 14, r.r15 = 15, r.rcx = 3, r.r11 = 11;
        r.rip = 0x400123, r.rsp = LinuxProcess::stack - 0x8008, r.rflags = 0x246 | 0x400;
    }
    ucontext_t context() { return guest.get<ucontext_t>(guest.registers.rdx); }
    std::int64_t send(int signal) {
        return guest.call(SYS_kill, {linux_abi::first_process_id, static_cast<std::uint64_t>(signal)});
    }
    // The handler returns: `ret` into the restorer, which makes the call.
    Outcome sigreturn() {
        guest.registers.rsp += 8;
        guest.call(SYS_rt_sigreturn);
        return guest.outcome;
    }

    LinuxProcess guest;
};

TEST_F(SignalsTest, AHandlerFindsItsArguments) {
    install(SIGUSR1);
    give_registers();
    Registers before = guest.registers;
    send(SIGUSR1);
    EXPECT_EQ(guest.registers.rip, 0x401000u);
    EXPECT_EQ(guest.registers.rdi, static_cast<std::uint64_t>(SIGUSR1));
    EXPECT_EQ(guest.registers.rsp % 16, 8u) << "as after a call";
    EXPECT_LT(guest.registers.rsp, before.rsp - 128) << "the red zone stays";
    EXPECT_EQ(guest.registers.rflags & 0x400, 0u) << "the direction flag is clear";
    EXPECT_EQ(guest.get<std::uint64_t>(guest.registers.rsp), 0x402000u);
    const auto info = guest.get<siginfo_t>(guest.registers.rsi);
    EXPECT_EQ(info.si_signo, SIGUSR1);
    EXPECT_EQ(info.si_code, SI_USER);
    EXPECT_EQ(info.si_pid, linux_abi::first_process_id);
    EXPECT_EQ(info.si_uid, static_cast<unsigned>(linux_abi::user_id));
    const ucontext_t c = context();
    EXPECT_EQ(c.uc_mcontext.gregs[REG_RIP], 0x400123);
    EXPECT_EQ(c.uc_mcontext.gregs[REG_RAX], 0) << "the result of kill";
    EXPECT_EQ(c.uc_mcontext.gregs[REG_R15], 15);
    EXPECT_EQ(static_cast<std::uint64_t>(c.uc_mcontext.gregs[REG_RSP]), before.rsp);
    EXPECT_EQ(c.uc_mcontext.gregs[REG_CSGSFS] & 0xffff, 0x33);
    // The XSAVE image, described as Linux does.
    const auto image = reinterpret_cast<std::uint64_t>(c.uc_mcontext.fpregs);
    EXPECT_EQ(image % 64, 0u);
    EXPECT_EQ(guest.bytes(image, 464), std::string(reinterpret_cast<char*>(guest.vectors.image.data()), 464));
    EXPECT_EQ(guest.get<std::uint32_t>(image + 464), 0x46505853u);
    EXPECT_EQ(guest.get<std::uint32_t>(image + 468), guest.vectors.image.size() + 4);
    EXPECT_EQ(guest.get<std::uint64_t>(image + 472), 7u);
    EXPECT_EQ(guest.get<std::uint32_t>(image + 480), guest.vectors.image.size());
    EXPECT_EQ(guest.get<std::uint32_t>(image + guest.vectors.image.size()), 0x46505845u);
    EXPECT_EQ(guest.process.state().thread.blocked, linux_abi::signal_bit(SIGUSR1));

    EXPECT_EQ(sigreturn().next, Outcome::Next::resume);
    before.rax = 0;
    before.rdi = linux_abi::first_process_id, before.rsi = SIGUSR1, before.rdx = before.r10 = before.r8 = before.r9 = 0;
    EXPECT_EQ(guest.registers, before) << "every register is back";
    EXPECT_EQ(guest.process.state().thread.blocked, 0u);
    EXPECT_EQ(guest.vectors.loads, 1);
}

TEST_F(SignalsTest, WithoutAHandlerTheDefaultActs) {
    for (int signal = 1; signal <= 64; ++signal) {
        if (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH) {
            EXPECT_EQ(send(signal), 0);
            EXPECT_EQ(guest.outcome.next, Outcome::Next::resume) << signal;
        } else {
            send(signal);
            EXPECT_EQ(guest.outcome.next, Outcome::Next::killed) << signal;
            EXPECT_EQ(guest.outcome.signal, signal);
        }
    }
}

TEST_F(SignalsTest, AFaultSaysWhereAndWhy) {
    install(SIGSEGV);
    give_registers();
    guest.outcome = guest.process.fault({SIGSEGV, SEGV_MAPERR, 0xdead000, 14, 6}, guest.registers, guest.vectors);
    EXPECT_EQ(guest.outcome.next, Outcome::Next::resume);
    const auto info = guest.get<siginfo_t>(guest.registers.rsi);
    EXPECT_EQ(info.si_addr, reinterpret_cast<void*>(0xdead000));
    EXPECT_EQ(info.si_code, SEGV_MAPERR);
    const ucontext_t c = context();
    EXPECT_EQ(c.uc_mcontext.gregs[REG_TRAPNO], 14);
    EXPECT_EQ(c.uc_mcontext.gregs[REG_ERR], 6);
    EXPECT_EQ(c.uc_mcontext.gregs[REG_CR2], 0xdead000);
    // A second one inside the handler: blocked, so it kills.
    guest.outcome = guest.process.fault({SIGSEGV, SEGV_MAPERR, 1, 14, 6}, guest.registers, guest.vectors);
    EXPECT_EQ(guest.outcome.next, Outcome::Next::killed);
    EXPECT_EQ(guest.outcome.signal, SIGSEGV);
}

TEST_F(SignalsTest, AFaultCannotBeIgnored) {
    const linux_abi::SignalAction ignore{1, 0, 0, 0};
    guest.call(SYS_rt_sigaction, {SIGFPE, guest.put_value(ignore), 0, 8});
    guest.outcome = guest.process.fault({SIGFPE, FPE_INTDIV, 0x400000, 0, 0}, guest.registers, guest.vectors);
    EXPECT_EQ(guest.outcome.next, Outcome::Next::killed);
    EXPECT_EQ(guest.outcome.signal, SIGFPE);
}

// Bad stacks end the guest, nothing else.
TEST_F(SignalsTest, FramesNeedAStack) {
    for (std::uint64_t stack :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{4096}, ~std::uint64_t{0},
          std::uint64_t{0x50000000}, std::uint64_t{0x8000000000000000}, arena + 64, std::uint64_t{x86::system_end},
          std::uint64_t{x86::system_begin} + 100000}) {
        install(SIGUSR1);
        install(SIGSEGV, SA_SIGINFO | SA_NODEFER);
        guest.registers.rsp = stack;
        send(SIGUSR1);
        EXPECT_EQ(guest.outcome.next, Outcome::Next::killed) << std::hex << stack;
        EXPECT_EQ(guest.outcome.signal, SIGSEGV);
        guest.process.state().thread = {};
    }
}

TEST_F(SignalsTest, ASegmentationFaultForWantOfStackUsesTheOtherOne) {
    const struct { std::uint64_t begin, flags, size; } alternate{arena, 0, 16384};
    ASSERT_EQ(guest.call(SYS_sigaltstack, {guest.put_value(alternate), 0}), 0);
    install(SIGSEGV, SA_SIGINFO | SA_ONSTACK);
    guest.registers.rsp = 0x50000000;
    guest.outcome = guest.process.fault({SIGSEGV, SEGV_MAPERR, 0x4ffffff8, 14, 6}, guest.registers, guest.vectors);
    EXPECT_EQ(guest.outcome.next, Outcome::Next::resume);
    EXPECT_GE(guest.registers.rsp, arena);
    EXPECT_LT(guest.registers.rsp, arena + 16384);
    EXPECT_EQ(guest.call(SYS_sigaltstack, {guest.put_value(alternate), 0}), -EPERM) << "while running on it";
    EXPECT_EQ(sigreturn().next, Outcome::Next::resume);
    EXPECT_EQ(guest.registers.rsp, 0x50000000u);
}

// The mask of a call that waits with another one comes back, also when its signal finds no stack.
TEST_F(SignalsTest, AMaskForACallEndsWhenItsSignalFindsNoStack) {
    const struct { std::uint64_t begin, flags, size; } alternate{arena, 0, 2048};
    ASSERT_EQ(guest.call(SYS_sigaltstack, {guest.put_value(alternate), 0}), 0);
    guest.vectors.image.resize(2048);
    install(SIGUSR1, SA_SIGINFO | SA_ONSTACK);
    install(SIGSEGV);
    guest.process.state().thread.blocked = linux_abi::signal_bit(SIGUSR1) | linux_abi::signal_bit(SIGUSR2);
    send(SIGUSR1);
    guest.call(SYS_rt_sigsuspend, {guest.put_value(std::uint64_t{0}), 8});
    ASSERT_EQ(guest.registers.rdi, static_cast<std::uint64_t>(SIGSEGV));
    EXPECT_EQ(sigreturn().next, Outcome::Next::resume);
    EXPECT_EQ(guest.process.state().thread.blocked, linux_abi::signal_bit(SIGUSR1) | linux_abi::signal_bit(SIGUSR2));
}

// A signal that does nothing ends no call, not even one that was blocked for a while.
TEST_F(SignalsTest, WhatIsIgnoredDoesNotInterrupt) {
    guest.process.state().thread.blocked = linux_abi::signal_bit(SIGCHLD);
    ASSERT_EQ(send(SIGCHLD), 0);
    const struct { std::int64_t seconds, nanoseconds; } time{0, 20'000'000};
    EXPECT_EQ(guest.call(SYS_ppoll, {0, 0, guest.put_value(time), guest.put_value(std::uint64_t{0}, arena), 8}), 0);
    EXPECT_EQ(guest.process.state().thread.blocked, linux_abi::signal_bit(SIGCHLD));
}

TEST_F(SignalsTest, FramesStayOnTheAlternateStack) {
    const struct { std::uint64_t begin, flags, size; } alternate{arena + 0x10000, 0, 4096};
    ASSERT_EQ(guest.call(SYS_sigaltstack, {guest.put_value(alternate), 0}), 0);
    install(SIGUSR1, SA_SIGINFO | SA_ONSTACK | SA_NODEFER);
    guest.fill(arena, 0x10000);
    for (int depth = 0; depth < 10; ++depth) {
        send(SIGUSR1);
        if (guest.outcome.next == Outcome::Next::killed) break;
    }
    EXPECT_EQ(guest.outcome.next, Outcome::Next::killed);
    EXPECT_TRUE(guest.untouched(arena, 0x10000)) << "nothing below the alternate stack was written";
}

// A program may return to anything, but only with what user mode may have.
TEST_F(SignalsTest, AForgedFrameIsCleaned) {
    install(SIGUSR1);
    give_registers();
    send(SIGUSR1);
    ucontext_t c = context();
    c.uc_mcontext.gregs[REG_EFL] = ~0ll;
    c.uc_mcontext.gregs[REG_CSGSFS] = 0x0010001000100010;
    c.uc_mcontext.gregs[REG_RBX] = 0x1234;
    c.uc_sigmask.__val[0] = ~0ul;
    ASSERT_TRUE(guest.memory.write(guest.registers.rdx, &c, 304));
    EXPECT_EQ(sigreturn().next, Outcome::Next::resume);
    EXPECT_EQ(guest.registers.rflags & ~std::uint64_t{0x50dd5}, 0x202u) << "no IOPL, NT, VM, VIF...";
    EXPECT_EQ(guest.registers.rbx, 0x1234u);
    EXPECT_EQ(guest.process.state().thread.blocked, ~(linux_abi::signal_bit(SIGKILL) | linux_abi::signal_bit(SIGSTOP)));
}

TEST_F(SignalsTest, AnImpossibleFrameKills) {
    install(SIGUSR1);
    for (std::uint64_t rip : {std::uint64_t{0x800000000000}, std::uint64_t{0x8000000000000000}, ~std::uint64_t{0},
                              std::uint64_t{x86::user_end}}) {
        give_registers();
        send(SIGUSR1);
        ucontext_t c = context();
        c.uc_mcontext.gregs[REG_RIP] = static_cast<long long>(rip);
        ASSERT_TRUE(guest.memory.write(guest.registers.rdx, &c, 304));
        EXPECT_EQ(sigreturn().next, Outcome::Next::killed);
        EXPECT_EQ(guest.outcome.signal, SIGSEGV);
        guest.process.state().thread = {};
    }
    for (std::uint64_t stack :
         {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}, std::uint64_t{0x50000000}, std::uint64_t{x86::shim}}) {
        guest.registers.rsp = stack;
        EXPECT_EQ(sigreturn().next, Outcome::Next::killed);
    }
}

TEST_F(SignalsTest, ForgedVectorStateIsRefusedOrCleaned) {
    install(SIGUSR1);
    const auto with = [&](auto change) {
        guest.process.state().thread = {};
        give_registers();
        send(SIGUSR1);
        ucontext_t c = context();
        change(c, reinterpret_cast<std::uint64_t>(c.uc_mcontext.fpregs));
        EXPECT_TRUE(guest.memory.write(guest.registers.rdx, &c, 304));
        return sigreturn().next;
    };
    using Next = Outcome::Next;
    const auto image_at = [&](std::uint64_t address) {
        return with(
            [address](ucontext_t& c, std::uint64_t) { c.uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(address); });
    };
    EXPECT_EQ(image_at(0), Next::resume) << "no image: the initial state";
    EXPECT_EQ(guest.get<std::uint16_t>(guest.put_value(guest.vectors.image[0])) & 0xff, 0x7f);
    EXPECT_EQ(image_at(0x50000000), Next::killed);
    EXPECT_EQ(image_at(~std::uint64_t{63}), Next::killed);
    EXPECT_EQ(image_at(arena + 1), Next::killed) << "not aligned";
    EXPECT_EQ(with([&](ucontext_t&, std::uint64_t image) {
                  EXPECT_TRUE(guest.memory.write(image + 520, std::uint64_t{1} << 63));
              }),
              Next::killed)
        << "what the processor refuses";
    // Another description: only the legacy part counts.
    EXPECT_EQ(with([&](ucontext_t&, std::uint64_t image) {
                  EXPECT_TRUE(guest.memory.write(image + 468, ~std::uint32_t{0}));
              }),
              Next::resume);
    EXPECT_EQ(with([&](ucontext_t&, std::uint64_t image) {
                  EXPECT_TRUE(guest.memory.write(image + 480, ~std::uint32_t{0}));
              }),
              Next::resume);
    EXPECT_EQ(std::to_integer<int>(guest.vectors.image[512]), 3);
}

TEST_F(SignalsTest, QueuesAreBounded) {
    const linux_abi::SignalSet all = ~linux_abi::SignalSet{0};
    guest.call(SYS_rt_sigprocmask, {SIG_SETMASK, guest.put_value(all), 0, 8});
    int queued = 0;
    while (queued < 1000 && guest.call(SYS_kill, {linux_abi::first_process_id, 40}) == 0) ++queued;
    EXPECT_EQ(queued, static_cast<int>(linux_abi::max_pending_signals));
    EXPECT_EQ(guest.call(SYS_kill, {linux_abi::first_process_id, 40}), -EAGAIN);
}

TEST_F(SignalsTest, OnlyItselfCanBeReached) {
    EXPECT_EQ(guest.call(SYS_kill, {linux_abi::parent_id, 0}), -EPERM);  // it is there, and another user's
    for (std::uint64_t target :
         {std::uint64_t{3}, std::uint64_t{12345}, ~std::uint64_t{0}, static_cast<std::uint64_t>(-12345)}) {
        EXPECT_EQ(guest.call(SYS_kill, {target, 0}), -ESRCH);
        EXPECT_LT(guest.call(SYS_tkill, {target, 0}), 0);
        EXPECT_LT(guest.call(SYS_tgkill, {target, target, 0}), 0);
    }
    EXPECT_EQ(guest.call(SYS_tgkill, {linux_abi::first_process_id, linux_abi::first_process_id, 0}), 0);
}

}  // namespace
}  // namespace tinykvm
