// Keys of other versions and other names of settings.
#include "src/config/unsupported_settings.hpp"

#include <gtest/gtest.h>

#include "tests/unit/config/parsed_config.hpp"

namespace tinykvm::host {
namespace {

using test::complaint;
using test::parsed;

TEST(UnsupportedSettings, EveryKeyOfLaterVersionsIsRefusedByName) {
    EXPECT_FALSE(unsupported_settings().empty());
    for (const UnsupportedSetting& unsupported : unsupported_settings()) {
        for (const char* value : {"true", "2.5e-3", "\"x\"", "[1]", "{\"port\": 80}", "null"}) {
            EXPECT_EQ(complaint("{\"" + std::string(unsupported.key) + "\": " + value + "}"),
                      "configuration of \"p\": key \"" + std::string(unsupported.key) +
                          "\": is not available in this version; allowed is " + std::string(unsupported.allowed));
        }
    }
}

TEST(UnsupportedSettings, KeysOfLaterVersionsMayAskForNothing) {
    EXPECT_EQ(complaint(R"({"filename": "/x", "profiling": 0, "server": {}})"), "accepted");
    EXPECT_EQ(complaint(R"({"server": []})"), "accepted");
}

TEST(UnsupportedSettings, KeysThatMeanNothingHereMayHaveAnyValue) {
    EXPECT_FALSE(ignored_settings().empty());
    for (const IgnoredSetting& ignored : ignored_settings()) {
        for (const char* value : {"true", "0", "\"0x40000000\"", "[\"x\"]", "null"}) {
            EXPECT_EQ(complaint("{\"" + std::string(ignored.key) + "\": " + value + "}"), "accepted");
        }
    }
}

TEST(UnsupportedSettings, OtherNamesOfSettings) {
    const ProgramConfig config =
        parsed(R"({"req_mem_limit_after_reset": 16, "experimental_keep_working_memory": false})");
    EXPECT_EQ(config.limit_workmem_after_req, std::size_t{16} << 20);
    EXPECT_FALSE(config.ephemeral_keep_working_memory);
    EXPECT_EQ(complaint(R"({"req_mem_limit_after_reset": 16, "limit_workmem_after_req": 16})"),
              "configuration of \"p\": key \"req_mem_limit_after_reset\": is another name of "
              "\"limit_workmem_after_req\", which is there, too");
    EXPECT_EQ(
        complaint(R"({"req_mem_limit_after_reset": -1})"),
        "configuration of \"p\": key \"limit_workmem_after_req\": value -1; allowed is a whole number of MiB from 0 "
        "to 65536");
    EXPECT_EQ(complaint(R"({"req_mem_limit_after_request": 1})"),
              "configuration of \"p\": key \"req_mem_limit_after_request\": is unknown; did you mean "
              "\"req_mem_limit_after_reset\"?");
}

}  // namespace
}  // namespace tinykvm::host
