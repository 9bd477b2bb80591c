// GDB's protocol, with a program that is only a piece of memory and registers. This needs no KVM.
#include "tinykvm/debug/gdb_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

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
    std::string auxiliary = "auxiliary#vector", path = "/bin/program";

    std::vector<int> threads() const override { return {7, 9}; }
    std::string thread_name(int thread) const override { return thread == 9 ? "worker" : "main"; }
    Registers registers(int thread) const override {
        Registers other;
        other.rip = 0x99;
        return thread == 7 ? current : other;
    }
    bool set_registers(const Registers& registers) override {
        current = registers;
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
};

class GdbServerTest : public testing::Test {
  protected:
    GdbServerTest() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(server.port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        server.accept();
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
        std::thread program([&] { resume = server.stopped(target, 5); });
        for (const std::string& packet : packets) {
            send(packet);
            answers.push_back(receive());
        }
        send(last);
        program.join();
        EXPECT_EQ(resume, expected);
        return answers;
    }

    GdbServer server{0};
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
    const auto answers = ask({"m1000,4", "M1001,2:abcd", "m1000,4", "m2000,4", "M2000,1:00", "P10=0807060504030201"},
                             "s", Debugger::Resume::step);
    EXPECT_EQ(answers, (std::vector<std::string>{"11111111", "OK", "11abcd11", "E01", "E01", "OK"}));
    EXPECT_EQ(target.current.rip, 0x0102030405060708u);
}

TEST_F(GdbServerTest, BreakpointsAreInTheCodeAndNotSeen) {
    const auto answers = ask({"Z0,1004,1", "Z0,1004,1", "m1003,3", "M1004,1:22", "m1003,3", "Z1,1004,1", "Z0,9000,1"},
                             "c", Debugger::Resume::go_on);
    EXPECT_EQ(answers, (std::vector<std::string>{"OK", "OK", "111111", "OK", "112211", "", "E01"}));
    EXPECT_TRUE(server.has_breakpoint(0x1004));
    EXPECT_EQ(target.memory[4], std::byte{0xCC});
    send("z0,1004,1");
    std::thread program([&] { (void)server.stopped(target, 5); });
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
    EXPECT_EQ(answers[8].size(), 2 * (17 * 8 + 7 * 4));
}

TEST_F(GdbServerTest, ADebuggerThatGoesTakesTheProgramWithIt) {
    socket = FileDescriptor();
    EXPECT_EQ(server.stopped(target, 5), Debugger::Resume::kill);
}

TEST_F(GdbServerTest, TheEndOfTheProgramIsTold) {
    server.exited(3);
    EXPECT_EQ(receive(), "W03");
    server.killed(9);
    EXPECT_EQ(receive(), "X09");
}

}  // namespace
}  // namespace tinykvm
