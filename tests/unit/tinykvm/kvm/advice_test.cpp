// What users are told when /dev/kvm cannot be opened.
#include "tinykvm/kvm/advice.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <sstream>
#include <string>

namespace tinykvm::kvm {
namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Advice, WithoutADeviceNamesContainersNestingAndTheEmulatedWay) {
    for (const int error : {ENOENT, ENODEV, ENXIO}) {
        const std::string text = describe_open_failure(error);
        for (const char* part :
             {"--device /dev/kvm", "nested virtualisation", "modprobe", "./demo", "tests/other-kvms/amd"})
            EXPECT_TRUE(contains(text, part)) << part << " is not in: " << text;
        EXPECT_FALSE(contains(text, "usermod")) << text;
    }
}

TEST(Advice, WithoutTheRightNamesTheGroupLoggingInAndTheEmulatedWay) {
    for (const int error : {EACCES, EPERM}) {
        const std::string text = describe_open_failure(error);
        for (const char* part :
             {"usermod -aG kvm", "logs in again", "PrivateDevices=false", "--device /dev/kvm", "tests/other-kvms/amd"})
            EXPECT_TRUE(contains(text, part)) << part << " is not in: " << text;
        EXPECT_FALSE(contains(text, "nested")) << text;
    }
}

TEST(Advice, AnotherReasonIsSaidAsItIs) {
    EXPECT_EQ(describe_open_failure(EMFILE),
              "cannot open /dev/kvm: Too many open files; the kernel log (dmesg) may say why");
}

TEST(Advice, EachLineFitsIntoVarnishsLog) {
    for (const int error : {ENOENT, EACCES, EMFILE}) {
        std::istringstream lines(describe_open_failure(error));
        for (std::string line; std::getline(lines, line);) {
            EXPECT_FALSE(line.empty());
            EXPECT_LE(line.size(), 160u) << line;
        }
    }
}

}  // namespace
}  // namespace tinykvm::kvm
