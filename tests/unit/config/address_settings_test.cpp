// Ranges of guest addresses in a configuration, and settings that must fit together.
#include "src/config/address_settings.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "src/base/config_error.hpp"
#include "src/config/config_layer.hpp"

namespace tinykvm::host {
namespace {

using Ranges = std::vector<GuestRange>;

Ranges remapping(const std::string& json) {
    ProgramConfig config;
    ConfigLayer::parse("p", "{\"remapping\": " + json + "}").apply(config);
    return config.remapping;
}

std::string complaint(const std::string& json) {
    try {
        (void)remapping(json);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "accepted";
}

TEST(AddressSettings, RangesAreReadInEveryForm) {
    EXPECT_EQ(remapping("[]"), Ranges{});
    EXPECT_EQ(remapping("{}"), Ranges{});
    EXPECT_EQ(remapping(R"(["0xC000000000", 1024])"), (Ranges{{0xC000000000, 0xC040000000}}));
    EXPECT_EQ(remapping(R"(["0xc000000000", "0XC000001000"])"), (Ranges{{0xC000000000, 0xC000001000}}));
    EXPECT_EQ(remapping(R"({"go": ["0xC000000000", 1], "v8": ["0x10000", "0x7FFFFFFFF000"]})"),
              (Ranges{{0xC000000000, 0xC000100000}, {0x10000, 0x7FFFFFFFF000}}));
}

TEST(AddressSettings, MistakesHaveTheirSentence) {
    const std::pair<const char*, const char*> cases[] = {
        {"5",
         "value 5; allowed is a range [\"0xBEGIN\", MiB] or [\"0xBEGIN\", \"0xEND\"], or an object of at most 64 "
         "named ranges"},
        {R"(["0x10000"])", "a range has two parts"},
        {R"(["0x10000", 1, 2])", "a range has two parts"},
        {R"({"a": "0x10000"})", "\"a\": a range has two parts"},
        {R"([65536, 1])", "a range begins with a string like \"0xC000000000\""},
        {R"(["C000000000", 1])", "a range begins with a string like"},
        {R"(["0x", 1])", "a range begins with a string like"},
        {R"(["0x1000z", 1])", "a range begins with a string like"},
        {R"(["0x-1000", 1])", "a range begins with a string like"},
        {R"(["0x10000000000000000", 1])", "a range begins with a string like"},
        {R"(["0x20000", -1])", "a range ends with a number of MiB or a string like \"0xC040000000\""},
        {R"(["0x20000", 1.5])", "a range ends with a number of MiB"},
        {R"(["0x20000", "x"])", "a range ends with a number of MiB"},
        {R"(["0x20001", 1])", "a range is made of pages of 4096 bytes"},
        {R"(["0x20000", "0x30001"])", "a range is made of pages of 4096 bytes"},
        {R"(["0x1000", 1])", "a range is not empty and lies between 0x10000 and 0x7FFFFFFFF000"},
        {R"(["0x20000", 0])", "a range is not empty"},
        {R"(["0x20000", "0x20000"])", "a range is not empty"},
        {R"(["0x7FFFFFFFE000", 1])", "a range is not empty and lies between"},
        {R"(["0x20000", 18446744073709551615])", "a range is"},
        {R"(["0xFFFFFFFFFFFFF000", 1])", "a range is not empty and lies between"},
    };
    for (const auto& [json, sentence] : cases) {
        const std::string said = complaint(json);
        EXPECT_EQ(said.find("configuration of \"p\": key \"remapping\": value "), 0u) << json << ": " << said;
        EXPECT_NE(said.find(sentence), std::string::npos) << json << ": " << said;
    }
    std::string many = "{";
    for (int i = 0; i < 65; i++) {
        many += (i ? ", \"" : "\"") + std::to_string(i) + "\": [\"0x10000\", 1]";
    }
    EXPECT_NE(complaint(many + "}").find("65 ranges"), std::string::npos);
}

TEST(AddressSettings, DefaultsFitTogether) { EXPECT_EQ(combination_problem({}), ""); }

TEST(AddressSettings, SettingsThatDoNotFitTogetherAreNamed) {
    ProgramConfig config;
    config.address_space = std::size_t{128} << 20;
    config.max_memory = config.address_space;
    EXPECT_EQ(combination_problem(config), "");
    config.shared_memory = std::size_t{1} << 20;
    EXPECT_EQ(combination_problem(config),
              "key \"address_space\": value 128: with max_request_memory 64 and "
              "shared_memory 1 at least 129 is needed");
    config = {};
    config.remapping = {{0x100000, 0x200000}};
    config.blackout_area = {{0x200000, 0x300000}};
    EXPECT_EQ(combination_problem(config), "");
    config.blackout_area.push_back({0x1FF000, 0x200000});
    EXPECT_EQ(combination_problem(config),
              "key \"blackout_area\": value 0x1FF000-0x200000: it must not overlap "
              "remapping, of which 0x100000-0x200000 is a part");
    config.executable_remapping = std::exchange(config.remapping, {});
    EXPECT_EQ(combination_problem(config),
              "key \"blackout_area\": value 0x1FF000-0x200000: it must not overlap "
              "executable_remapping, of which 0x100000-0x200000 is a part");
}

TEST(AddressSettings, AddressSpaceIsNeverLessThanTheMemory) {
    ProgramConfig config;
    ConfigLayer::parse("p", R"({"max_memory": 4096, "address_space": 128})").apply(config);
    EXPECT_EQ(config.effective_address_space(), std::size_t{4096} << 20);
    EXPECT_EQ(combination_problem(config), "");
    ConfigLayer::parse("p", R"({"address_space": 5000})").apply(config);
    EXPECT_EQ(config.effective_address_space(), std::size_t{5000} << 20);
    config.max_request_memory = std::size_t{5000} << 20;
    EXPECT_EQ(combination_problem(config),
              "key \"address_space\": value 5000: with max_request_memory 5000 and "
              "shared_memory 0 at least 5064 is needed");
}

TEST(AddressSettings, RangesForCodeAreKeptBesideTheOthers) {
    ProgramConfig config;
    ConfigLayer::parse("p", R"({"remapping": ["0xC000000000", 1], "executable_remapping": ["0x1000000000", 2]})")
        .apply(config);
    EXPECT_EQ(config.remapping, (Ranges{{0xC000000000, 0xC000100000}}));
    EXPECT_EQ(config.executable_remapping, (Ranges{{0x1000000000, 0x1000200000}}));
}

}  // namespace
}  // namespace tinykvm::host
