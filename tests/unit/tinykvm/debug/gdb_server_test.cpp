// GDB's protocol, with a program that is only a piece of memory and registers. This needs no KVM.
#include "tinykvm/debug/gdb_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm {
namespace {

using debug::Debugger;
using debug::GdbServer;

class PieceOfMemory final : public debug::Target {
  public:
    static constexpr GuestAddr begin = 0x1000;
    std::vector<std::byte> memory = std::vector<std::byte>(64, std::byte{0x11});
    Registers current;
    std::vector<std::byte> image = std::vector<std::byte>(832);  // up to the end of AVX
    bool interrupted = false;
    std::string auxiliary = "auxiliary#vector", path = "/bin/program";

    std::vector<int> threads() const override { return {7, 9}; }
    std::string thread_name(int thread) const override { return thread == 9 ? "worker" : "main"; }
    debug::ThreadRegisters registers(int thread) const override {
        Registers other;
        other.rip = 0x99;
        return {thread == 7 ? current : other, 0xF5, 0x65, image};
    }
    bool set_registers(const debug::ThreadRegisters& registers) override {
        current = registers.general;
        image = registers.vectors;
        return true;
    }
    bool switch_to(int thread) override { return thread == 7; }
    bool read(GuestAddr from, std::span<std::byte> to) const override {
        if (from < begin || from - begin > memory.size() || to.size() > memory.size() - (from - begin)) return false;
        std::memcpy(to.data(), memory.data() + (from - begin), to.size());
        return true;
    }
    bool write(GuestAddr to, std::span<const std::byte> from) override {
        if (to < begin || to - begin > memory.size() || from.size() > memory.size() - (to - begin)) return false;
        std::memcpy(memory.data() + (to - begin), from.data(), from.size());
        return true;
    }
    const std::string& auxiliary_vector() const override { return auxiliary; }
    const std::string& program_path() const override { return path; }
    bool has_avx() const override { return true; }
    bool is_interrupted() const override { return interrupted; }
};

Deadline soon() { return Clock::now() + std::chrono::minutes(5); }

class GdbServerTest : public testing::Test {
  protected:
    GdbServerTest() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(server.port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_TRUE(server.accept(soon()));
    }

    void send(const std::string& packet) {
        unsigned sum = 0;
        for (const char c : packet) sum += static_cast<unsigned char>(c);
        char end[4];
        std::snprintf(end, sizeof end, "#%02x", sum & 0xff);
        const std::string whole = "$" + packet + end;
        EXPECT_EQ(::send(socket.get(), whole.data(), whole.size(), 0), static_cast<ssize_t>(whole.size()));
    }
    std::string receive() {
        std::string text;
        char byte = 0;
        while (::recv(socket.get(), &byte, 1, 0) == 1 && byte != '$') {
        }
        while (::recv(socket.get(), &byte, 1, 0) == 1 && byte != '#') text += byte;
        char sum[2];
        EXPECT_EQ(::recv(socket.get(), sum, sizeof sum, MSG_WAITALL), 2);
        return text;
    }
    // The answers to packets, of which the last lets the program go on.
    std::vector<std::string> ask(const std::vector<std::string>& packets, const std::string& last,
                                 Debugger::Resume expected) {
        std::vector<std::string> answers;
        Debugger::Resume resume{};
        std::thread program([&] { resume = server.stopped(target, 5, Debugger::Event::signal); });
        for (const std::string& packet : packets) {
            send(packet);
            answers.push_back(receive());
        }
        send(last);
        program.join();
        EXPECT_EQ(resume, expected);
        return answers;
    }

    GdbServer server{0, GdbServer::WithoutGdb::ends, soon()};
    FileDescriptor socket;
    PieceOfMemory target;
};

TEST_F(GdbServerTest, TellsOfThreadsAndRegisters) {
    target.current.rax = 0x0123456789abcdef;
    target.current.rip = 0x1020;
    const auto answers =
        ask({"?", "qC", "qfThreadInfo", "qsThreadInfo", "qThreadExtraInfo,9", "p0", "p10", "Hg9", "p10", "T9", "Ta"},
            "vCont;c", Debugger::Resume::go_on);
    EXPECT_EQ(answers, (std::vector<std::string>{"T05thread:7;", "QC7", "m7,9", "l", "776f726b6572", "efcdab8967452301",
                                                 "2010000000000000", "OK", "9900000000000000", "OK", "E01"}));
}

TEST_F(GdbServerTest, ReadsAndWritesMemoryAndRegisters) {
    const auto answers = ask({"m1000,4", "M1001,2:abcd", "m1000,4", "m2000,4", "M2000,1:00", "M1000,2:00", "M1000,1:0x",
                              "P10=0807060504030201"},
                             "s", Debugger::Resume::step);
    EXPECT_EQ(answers, (std::vector<std::string>{"11111111", "OK", "11abcd11", "E01", "E01", "E01", "E01", "OK"}));
    EXPECT_EQ(target.current.rip, 0x0102030405060708u);
}

TEST_F(GdbServerTest, BreakpointsAreInTheCodeAndNotSeen) {
    const auto answers = ask({"Z0,1004,1", "Z0,1004,1", "m1003,3", "M1004,1:22", "m1003,3", "Z1,1004,1", "Z0,9000,1"},
                             "c", Debugger::Resume::go_on);
    EXPECT_EQ(answers, (std::vector<std::string>{"OK", "OK", "111111", "OK", "112211", "", "E01"}));
    EXPECT_TRUE(server.has_breakpoint(0x1004));
    EXPECT_EQ(target.memory[4], std::byte{0xCC});
    send("z0,1004,1");
    std::thread program([&] { (void)server.stopped(target, 5, Debugger::Event::signal); });
    EXPECT_EQ(receive(), "T05thread:7;");
    EXPECT_EQ(receive(), "OK");
    send("k");
    program.join();
    EXPECT_EQ(target.memory[4], std::byte{0x22});
    EXPECT_FALSE(server.has_breakpoint(0x1004));
}

TEST_F(GdbServerTest, WhatItDoesNotKnowIsEmpty) {
    const auto answers = ask({"qSupported:x", "vMustReplyEmpty", "vCont?", "qXfer:auxv:read::0,6",
                              "qXfer:auxv:read::6,40", "X1000,0:", "!", "QStartNoAckMode", "g"},
                             "D", Debugger::Resume::go_on);
    EXPECT_NE(answers[0].find("qXfer:auxv:read+"), std::string::npos);
    EXPECT_EQ(answers[1], "");
    EXPECT_EQ(answers[2], "vCont;c;C;s;S");
    EXPECT_EQ(answers[3], "mauxili");
    EXPECT_EQ(answers[4], std::string("lary}") + static_cast<char>('#' ^ 0x20) + "vector");
    EXPECT_EQ(answers[5], "");
    EXPECT_EQ(answers[8].size(), 2 * (17 * 8 + 7 * 4 + 8 * 10 + 8 * 4 + 16 * 16 + 4 + 3 * 8 + 16 * 16));
}

TEST_F(GdbServerTest, ADebuggerThatGoesTakesTheProgramWithIt) {
    socket = FileDescriptor();
    EXPECT_EQ(server.stopped(target, 5, Debugger::Event::signal), Debugger::Resume::kill);
    EXPECT_FALSE(server.is_attached());
}

TEST_F(GdbServerTest, WhatIsNoDebuggerIsNotTalkedTo) {
    const std::string_view request = "POST / HTTP/1.1\r\n\r\n$M1000,1:22#c9";
    EXPECT_EQ(::send(socket.get(), request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
    EXPECT_EQ(server.stopped(target, 5, Debugger::Event::signal), Debugger::Resume::kill);
    EXPECT_EQ(target.memory[0], std::byte{0x11});
}

TEST_F(GdbServerTest, ARunThatHasToEndIsNotWaitedWith) {
    target.interrupted = true;
    EXPECT_EQ(server.stopped(target, 5, Debugger::Event::signal), Debugger::Resume::kill);
}

TEST_F(GdbServerTest, VectorRegistersAreTold) {
    target.image[24] = std::byte{0x80};        // MXCSR
    target.image[160 + 16] = std::byte{0x21};  // XMM1
    target.image[576 + 16] = std::byte{0x42};  // the upper half of YMM1, which is not present
    const std::string zeros(30, '0');
    const auto answers =
        ask({"p29", "p38", "p3a", "p3d", "P3d=43" + zeros, "p3d", "P29=22" + zeros, "p29", "P29=22", "p4c"}, "c",
            Debugger::Resume::go_on);
    EXPECT_EQ(answers, (std::vector<std::string>{"21" + zeros, "80000000", "f500000000000000", "00" + zeros, "OK",
                                                 "43" + zeros, "OK", "22" + zeros, "E01", "E01"}));
    EXPECT_EQ(target.image[512], std::byte{7});
}

TEST_F(GdbServerTest, AWatchpointStepsUntilTheMemoryChanges) {
    (void)ask({"Z2,1008,4"}, "vCont;c", Debugger::Resume::step);
    EXPECT_EQ(server.stopped(target, 5, Debugger::Event::signal), Debugger::Resume::step);
    target.memory[9] = std::byte{1};
    Debugger::Resume resume{};
    std::thread program([&] { resume = server.stopped(target, 5, Debugger::Event::signal); });
    EXPECT_EQ(receive(), "T05watch:1008;thread:7;");
    send("z2,1008,4");
    EXPECT_EQ(receive(), "OK");
    send("c");
    program.join();
    EXPECT_EQ(resume, Debugger::Resume::go_on);
}

TEST_F(GdbServerTest, CtrlCIsHeardWhileTheProgramRuns) {
    EXPECT_FALSE(server.wants_stop());
    EXPECT_EQ(::send(socket.get(), "\3", 1, 0), 1);
    const auto until = soon();
    while (!server.wants_stop()) ASSERT_LT(Clock::now(), until);
    EXPECT_FALSE(server.wants_stop());
    socket = FileDescriptor();
    while (!server.wants_stop()) ASSERT_LT(Clock::now(), until);
}

TEST_F(GdbServerTest, BreakpointsGoWhenTheDebuggerDoes) {
    (void)ask({"Z0,1004,1"}, "c", Debugger::Resume::go_on);
    server.let_go(target);
    EXPECT_EQ(target.memory[4], std::byte{0x11});
    EXPECT_FALSE(server.has_breakpoint(0x1004));
    EXPECT_FALSE(server.is_attached());
}

TEST(GdbServerWithoutGdb, IsNotWaitedForLongerThanSaid) {
    GdbServer server(0, GdbServer::WithoutGdb::goes_on, soon());
    EXPECT_FALSE(server.accept(Clock::now() + std::chrono::milliseconds(10)));
    EXPECT_FALSE(server.accept(soon(), [] { return true; }));
}

TEST_F(GdbServerTest, TheEndOfTheProgramIsTold) {
    server.exited(3);
    EXPECT_EQ(receive(), "W03");
    EXPECT_FALSE(server.is_attached());
}

TEST_F(GdbServerTest, SoIsASignalThatEndsIt) {
    server.killed(9);
    EXPECT_EQ(receive(), "X09");
}

}  // namespace
}  // namespace tinykvm
