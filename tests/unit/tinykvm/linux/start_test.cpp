// What a program finds on its stack.
#include "tinykvm/linux/start.hpp"

#include <elf.h>

#include <map>

#include "tests/unit/linux_process.hpp"

namespace tinykvm {
namespace {

using test::LinuxProcess;

class StartTest : public testing::Test {
  protected:
    StartTest() {
        info.entry = 0x401000;
        info.headers = 0x400040;
        info.header_count = 9;
        info.interpreter_base = 0x700000;
        info.program_path = "/usr/bin/program";
        info.stack_begin = LinuxProcess::stack - LinuxProcess::stack_size;
        info.stack_end = LinuxProcess::stack;
        info.hwcap = 0x1234;
        info.hwcap2 = 2;
    }
    // argv, envp and the auxiliary vector, read back.
    void parse(GuestAddr stack) {
        EXPECT_EQ(stack % 16, 0u);
        const auto word = [&] { return guest.get<std::uint64_t>(std::exchange(stack, stack + 8)); };
        const auto text = [&](GuestAddr at) { return guest.memory.read_string(at, 1 << 20).value(); };
        const std::uint64_t count = word();
        arguments.clear(), environment.clear(), auxiliary.clear();
        for (std::uint64_t i = 0; i < count; ++i) arguments.push_back(text(word()));
        EXPECT_EQ(word(), 0u);
        while (const GuestAddr at = word()) environment.push_back(text(at));
        for (std::uint64_t type = word(); type != AT_NULL; type = word()) auxiliary[type] = word();
    }

    LinuxProcess guest;
    linux_abi::StartInfo info;
    std::vector<std::string> arguments, environment;
    std::map<std::uint64_t, std::uint64_t> auxiliary;
};

TEST_F(StartTest, EverythingIsThere) {
    for (std::size_t count = 0; count < 20; ++count) {
        Options options;
        options.program_name = "name";
        options.arguments.assign(count, "argument");
        options.environment = {"A=1", "", "B=two words"};
        parse(linux_abi::build_initial_stack(guest.memory, options, info).pointer);
        ASSERT_EQ(arguments.size(), count + 1);
        EXPECT_EQ(arguments[0], "name");
        EXPECT_EQ(environment, (std::vector<std::string>{"A=1", "", "B=two words"}));
    }
    EXPECT_EQ(auxiliary[AT_ENTRY], 0x401000u);
    EXPECT_EQ(auxiliary[AT_PHDR], 0x400040u);
    EXPECT_EQ(auxiliary[AT_PHNUM], 9u);
    EXPECT_EQ(auxiliary[AT_PHENT], 56u);
    EXPECT_EQ(auxiliary[AT_BASE], 0x700000u);
    EXPECT_EQ(auxiliary[AT_PAGESZ], page_size);
    EXPECT_EQ(auxiliary[AT_SYSINFO_EHDR], x86::vdso);
    EXPECT_EQ(auxiliary[AT_HWCAP], 0x1234u);
    EXPECT_EQ(auxiliary[AT_HWCAP2], 2u);
    EXPECT_EQ(auxiliary[AT_SECURE], 0u);
    EXPECT_EQ(guest.memory.read_string(auxiliary[AT_EXECFN], 100).value(), "/usr/bin/program");
    EXPECT_EQ(guest.memory.read_string(auxiliary[AT_PLATFORM], 100).value(), "x86_64");
}

TEST_F(StartTest, RandomBytesAreFresh) {
    Options options;
    parse(linux_abi::build_initial_stack(guest.memory, options, info).pointer);
    const std::string first = guest.bytes(auxiliary[AT_RANDOM], 16);
    parse(linux_abi::build_initial_stack(guest.memory, options, info).pointer);
    EXPECT_NE(guest.bytes(auxiliary[AT_RANDOM], 16), first);
}

TEST_F(StartTest, TooMuchIsAnError) {
    Options options;
    options.arguments.assign(1, std::string(LinuxProcess::stack_size / 4, 'x'));
    EXPECT_THROW(linux_abi::build_initial_stack(guest.memory, options, info), LoadError);
    options.arguments.assign(LinuxProcess::stack_size / 4 / 8, "");
    EXPECT_THROW(linux_abi::build_initial_stack(guest.memory, options, info), LoadError);
    options.arguments.clear();
    options.environment.assign(1000, std::string(100, 'y'));
    EXPECT_THROW(linux_abi::build_initial_stack(guest.memory, options, info), LoadError);
    info.stack_begin = 0x50000000, info.stack_end = 0x50100000;
    options.environment.clear();
    EXPECT_THROW(linux_abi::build_initial_stack(guest.memory, options, info), LoadError) << "not mapped";
}

}  // namespace
}  // namespace tinykvm
