// Random numbers across the freeze: libraries that were seeded while the program booted draw others in each request.
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/empty_input.hpp"

namespace tinykvm {
namespace {

using test::EmptyInput;
using test::patience;

class Requests : public testing::Test {
  protected:
    Options options(std::vector<std::string> arguments) {
        Options options;
        options.arguments = std::move(arguments);
        for (const char* folder : {"/lib", "/lib64", "/usr/lib"}) options.allowed_paths.push_back({folder, ""});
        options.max_memory = std::size_t{512} << 20;
        options.max_address_space = std::size_t{16} << 30;
        options.output = [this](int, std::string_view text) { output += text; };
        options.input = [this] { return &input; };
        return options;
    }
    // Null when the machine lacks what the program needs.
    std::shared_ptr<const Snapshot> freeze(const std::string& program, Options options,
                                           Stop::Reason reason = Stop::Reason::needs_input) {
        if (!std::filesystem::exists(program)) return nullptr;
        options.program_name = program;
        Machine machine(Program::from_file(program), std::move(options));
        const Stop stop = machine.run(&calls, patience());
        if (stop.reason == Stop::Reason::exited && stop.exit_status == 77) return nullptr;
        EXPECT_EQ(stop.reason, reason) << output;
        return std::move(machine).freeze();
    }
    // What a request draws.
    std::string draw(Fork& fork) {
        output.clear();
        input.ended = true;
        const Stop stop = fork.go_on(calls, patience());
        EXPECT_EQ(stop.reason, Stop::Reason::exited);
        EXPECT_EQ(stop.exit_status, 0) << output;
        fork.reset();
        return output;
    }
    // How many different numbers eight requests draw.
    std::size_t drawn_by_eight(const std::shared_ptr<const Snapshot>& snapshot) {
        Fork first(snapshot), second(snapshot);
        std::set<std::string> drawn;
        for (int request = 0; request < 4; ++request) {
            drawn.insert(draw(first));
            drawn.insert(draw(second));
        }
        return drawn.size();
    }

    test::Calls calls;
    EmptyInput input;
    std::string output;
};

class Library : public Requests, public testing::WithParamInterface<const char*> {};

TEST_P(Library, DrawsOtherNumbersInEachRequest) {
    const auto snapshot = freeze(TINYKVM_BUILD_DIR "/tests/guests/generators", options({GetParam()}));
    if (!snapshot) GTEST_SKIP() << output;
    EXPECT_EQ(drawn_by_eight(snapshot), 8u) << output;
}

INSTANTIATE_TEST_SUITE_P(OfDebian, Library,
                         testing::Values("openssl", "gnutls-refreshed", "nss-restarted", "libgcrypt", "libsodium",
                                         "libsodium-stirred", "libbsd", "wiped-memory"),
                         [](const auto& info) {
                             std::string name = info.param;
                             for (char& c : name) c = c == '-' ? '_' : c;
                             return name;
                         });

TEST_F(Requests, FindFreshBytesWhenTheirProgramIsFrozenAtItsEntryPoint) {
    Options at_entry = options({"auxiliary", "unseeded"});
    at_entry.stop_at_entry = true;
    const auto snapshot =
        freeze(TINYKVM_BUILD_DIR "/tests/guests/generators", std::move(at_entry), Stop::Reason::at_entry);
    EXPECT_EQ(drawn_by_eight(snapshot), 8u) << output;
}

// The recipes of docs/programs.md for generators that only their program can reach, and what happens without them.
struct Recipe {
    const char* name;
    std::string program;
    std::vector<std::string> arguments, unprepared;
};

// Debian's, under the name of its version.
std::string python() {
    std::error_code error;
    const auto path = std::filesystem::canonical("/usr/bin/python3", error);
    return error ? "/usr/bin/python3" : path.string();
}
const std::string python_begin = "import random, sys; random.random(); sys.stdin.buffer.read(); ";
const std::string node_begin =
    "const crypto = require('crypto'); Math.random(); crypto.randomBytes(16); require('fs').readFileSync(0); ";
const Recipe recipes[] = {
    {"python",
     python(),
     {"-c", python_begin + "random.seed(); print(random.random())"},
     {"-c", python_begin + "print(random.random())"}},
    {"python_secrets",
     python(),
     {"-c", "import secrets, sys; secrets.token_hex(); sys.stdin.buffer.read(); print(secrets.token_hex())"},
     {}},
    {"node",
     "/usr/bin/node",
     {"-e", node_begin + "console.log(crypto.randomBytes(16).toString('hex'))"},
     {"-e", node_begin + "console.log(Math.random())"}},
    {"node_uuid",
     "/usr/bin/node",
     {"-e",
      "const crypto = require('crypto'); crypto.randomUUID(); require('fs').readFileSync(0); "
      "console.log(crypto.randomUUID({disableEntropyCache: true}))"},
     {"-e",
      "const crypto = require('crypto'); crypto.randomUUID(); require('fs').readFileSync(0); "
      "console.log(crypto.randomUUID())"}},
    {"go", TINYKVM_BUILD_DIR "/tests/guests/generators_go", {"seed"}, {"keep"}},
};

class RecipeTest : public Requests, public testing::WithParamInterface<Recipe> {
  protected:
    std::shared_ptr<const Snapshot> frozen(std::vector<std::string> arguments) {
        Options of_recipe = options(std::move(arguments));
        of_recipe.allowed_paths.push_back({python(), ""});
        return freeze(GetParam().program, std::move(of_recipe));
    }
};

TEST_P(RecipeTest, GivesOtherNumbersToEachRequest) {
    const auto snapshot = frozen(GetParam().arguments);
    if (!snapshot) GTEST_SKIP() << GetParam().program << " is not there";
    EXPECT_EQ(drawn_by_eight(snapshot), 8u) << output;
}

TEST_P(RecipeTest, IsNeeded) {
    if (GetParam().unprepared.empty()) return;  // it is what the library does anyway
    const auto snapshot = frozen(GetParam().unprepared);
    if (!snapshot) GTEST_SKIP() << GetParam().program << " is not there";
    EXPECT_EQ(drawn_by_eight(snapshot), 1u) << output;
}

INSTANTIATE_TEST_SUITE_P(Of, RecipeTest, testing::ValuesIn(recipes),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tinykvm
