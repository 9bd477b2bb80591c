// Programs and groups as they are configured.
#include "src/programs/catalogue.hpp"

#include <gtest/gtest.h>

namespace tinykvm::host {
namespace {

class CatalogueTest : public testing::Test {
  protected:
    std::string refusal(std::string_view name, std::string_view json) {
        try {
            catalogue.configure(name, json);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "accepted";
    }

    NoCounters counters;
    Catalogue catalogue{{counters, [](const std::string&, std::string_view) {}}};
};

TEST_F(CatalogueTest, ProgramTakesFromItsGroupAndOverrides) {
    EXPECT_EQ(catalogue.configure("images", R"({"concurrency": 7, "max_memory": 100})"), nullptr);
    const ProgramService* program =
        catalogue.configure("avif", R"({"filename": "/x", "group": "images", "max_memory": 50})");
    ASSERT_NE(program, nullptr);
    EXPECT_EQ(program->config().concurrency, 7U);
    EXPECT_EQ(program->config().max_memory, std::size_t{50} << 20);
    EXPECT_EQ(program->config().group, "images");
}

TEST_F(CatalogueTest, LaterSettingsOfAGroupReachProgramsThatHaveNotStarted) {
    const ProgramService* program = catalogue.configure("p", R"({"filename": "/x", "verbose": true})");
    catalogue.configure("test", R"({"concurrency": 3, "verbose": false})");
    EXPECT_EQ(program->config().concurrency, 3U);
    EXPECT_TRUE(program->config().verbose);
}

TEST_F(CatalogueTest, SettingsAddUpForOneProgram) {
    const ProgramService* program = catalogue.configure("p", R"({"filename": "/x", "concurrency": 2})");
    EXPECT_EQ(catalogue.configure("p", R"({"verbose": true})"), program);
    EXPECT_EQ(program->config().concurrency, 2U);
    EXPECT_TRUE(program->config().verbose);
}

TEST_F(CatalogueTest, NamesAndGroupsThatCannotBe) {
    EXPECT_EQ(refusal("", "{}").find("configuration of \"\": a name is 1 to 250 letters"), 0U);
    EXPECT_EQ(refusal("a b", "{}").find("configuration of \"a b\": a name is"), 0U);
    EXPECT_EQ(refusal("a\nb", "{}").find("configuration of \"a\\nb\": a name is"), 0U);
    EXPECT_NE(refusal("p", R"({"filename": "/x", "group": "g"})").find("there is no group \"g\"; known are \"test\""),
              std::string::npos);
    EXPECT_NE(refusal("g", R"({"group": "test"})").find("groups have no group"), std::string::npos);
    EXPECT_EQ(refusal("g", "{}"), "accepted");
    EXPECT_NE(refusal("g", R"({"filename": "/x"})").find("there is a group of that name already"), std::string::npos);
    EXPECT_EQ(catalogue.find("p"), nullptr);
    EXPECT_EQ(catalogue.why_missing("p"), "there is no program \"p\"");
    EXPECT_EQ(catalogue.why_missing("g"), "\"g\" is a group: its configuration has neither filename nor uri");
}

TEST_F(CatalogueTest, MistakeChangesNothing) {
    const ProgramService* program = catalogue.configure("p", R"({"filename": "/x", "concurrency": 2})");
    EXPECT_NE(refusal("p", R"({"concurrency": 3, "group": "nothing"})"), "accepted");
    EXPECT_EQ(program->config().concurrency, 2U);
    EXPECT_EQ(program->config().group, "test");
}

}  // namespace
}  // namespace tinykvm::host
