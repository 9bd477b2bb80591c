// $HOME and $PWD in the texts of settings.
#include "src/config/variables.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "tests/unit/config/parsed_config.hpp"

namespace tinykvm::host {
namespace {

using test::complaint;
using test::parsed;

// Puts a variable of the environment back as it was.
class Environment {
  public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* const before = std::getenv(name)) {
            before_ = before;
        }
        set(value);
    }
    ~Environment() { set(before_ ? before_->c_str() : nullptr); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    void set(const char* value) {
        if (value == nullptr) {
            ::unsetenv(name_);
        } else {
            ::setenv(name_, value, 1);
        }
    }

    const char* const name_;
    std::optional<std::string> before_;
};

TEST(Variables, HomeAndWorkingDirectoryAreReplaced) {
    const Environment home("HOME", "/home/me");
    const std::string here = std::filesystem::current_path().string();
    const ProgramConfig config = parsed(R"({
        "filename": "$HOME/bin/$HOME", "uri": "http://h/$HOME", "current_working_directory": "$PWD",
        "main_arguments": ["$HOME/main.js", "--cache=$PWD/$HOME/", "$HOMEPAGE $$ $ $", "$$HOME $$$PWD $$x"],
        "environment": ["HOME=$HOME"],
        "allowed_paths": ["$HOME/x", {"virtual": "/v", "real": "$PWD/r"}],
        "download": [{"uri": "http://h/$PWD", "filepath": "$HOME/d"}]
    })");
    EXPECT_EQ(config.filename, "/home/me/bin//home/me");
    EXPECT_EQ(config.uri, "http://h/$HOME");
    EXPECT_EQ(config.current_working_directory, here);
    EXPECT_EQ(config.main_arguments, (std::vector<std::string>{"/home/me/main.js", "--cache=" + here + "//home/me/",
                                                               "$HOMEPAGE $$ $ $", "$HOME $$PWD $$x"}));
    EXPECT_EQ(config.environment, (std::vector<std::string>{"HOME=/home/me"}));
    EXPECT_EQ(config.allowed_paths[0].virtual_path, "/home/me/x");
    EXPECT_EQ(config.allowed_paths[1].real_path, here + "/r");
    EXPECT_EQ(config.downloads[0].uri, "http://h/$PWD");
    EXPECT_EQ(config.downloads[0].path, "/home/me/d");
}

TEST(Variables, WithoutAHomeItIsAnErrorToNameIt) {
    const Environment home("HOME", nullptr);
    EXPECT_EQ(
        complaint(R"({"allowed_paths": ["/x", "$HOME/y"]})"),
        "configuration of \"p\": key \"allowed_paths\": value [\"/x\",\"$HOME/y\"]: $HOME: HOME is not in the "
        "environment of this process; allowed is a list of strings and of objects {virtual, real, writable, prefix, "
        "symlink}");
    EXPECT_EQ(complaint(R"({"main_arguments": ["$$HOME", "$HOMES"], "key": "$HOME"})"), "accepted");
}

TEST(Variables, ReplacedTextsAreChecked) {
    const Environment home("HOME", "home");
    EXPECT_EQ(complaint(R"({"filename": "$HOME/x"})"),
              "configuration of \"p\": key \"filename\": value \"home/x\": the path must begin with '/'; allowed is a "
              "string of 1 to 4096 bytes");
    const Environment large("HOME", std::string(5000, '/').c_str());
    EXPECT_NE(complaint(R"({"filename": "$HOME/x"})").find("; allowed is a string of 1 to 4096 bytes"),
              std::string::npos);
}

}  // namespace
}  // namespace tinykvm::host
