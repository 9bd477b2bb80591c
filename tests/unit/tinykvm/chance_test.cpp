// Random numbers across the freeze: libraries that were seeded while the program booted draw others in each request.
#include <set>
#include <string>

#include "tests/unit/booted_guest.hpp"
#include "tinykvm/input_source.hpp"

namespace tinykvm {
namespace {

using test::patience;

// An input that has nothing yet, or has ended.
class EmptyInput final : public InputSource {
  public:
    std::optional<std::span<const std::byte>> next() const override {
        if (!ended) return std::nullopt;
        return std::span<const std::byte>();
    }
    void take(std::size_t) override {}
    bool ended = false;
};

class ChanceTest : public testing::TestWithParam<const char*> {
  protected:
    Options options() {
        Options options;
        options.arguments = {GetParam()};
        for (const char* folder : {"/lib", "/lib64", "/usr/lib"}) options.allowed_paths.push_back({folder, ""});
        options.max_memory = std::size_t{512} << 20;
        options.output = [this](int, std::string_view text) { output += text; };
        options.input = [this] { return &input; };
        return options;
    }
    std::shared_ptr<const Snapshot> freeze(Options options, Stop::Reason reason) {
        Machine machine(Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/generators"), std::move(options));
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
    void expect_different(const std::shared_ptr<const Snapshot>& snapshot) {
        Fork first(snapshot), second(snapshot);
        std::set<std::string> drawn;
        for (int request = 0; request < 4; ++request) {
            drawn.insert(draw(first));
            drawn.insert(draw(second));
        }
        EXPECT_EQ(drawn.size(), 8u) << *drawn.begin();
    }

    test::Calls calls;
    EmptyInput input;
    std::string output;
};

using Library = ChanceTest;

TEST_P(Library, DrawsOtherNumbersInEachRequest) {
    const auto snapshot = freeze(options(), Stop::Reason::needs_input);
    if (!snapshot) GTEST_SKIP() << output;
    expect_different(snapshot);
}

INSTANTIATE_TEST_SUITE_P(OfDebian, Library,
                         testing::Values("openssl", "gnutls-refreshed", "nss-restarted", "libgcrypt", "libsodium",
                                         "libsodium-stirred", "libbsd", "wiped-memory"),
                         [](const auto& info) {
                             std::string name = info.param;
                             for (char& c : name) c = c == '-' ? '_' : c;
                             return name;
                         });

using Kernel = ChanceTest;

TEST_P(Kernel, GivesFreshBytesToAProgramThatIsFrozenAtItsEntryPoint) {
    Options at_entry = options();
    at_entry.stop_at_entry = true;
    at_entry.arguments.emplace_back("unseeded");
    expect_different(freeze(std::move(at_entry), Stop::Reason::at_entry));
}

INSTANTIATE_TEST_SUITE_P(Of, Kernel, testing::Values("auxiliary"));

}  // namespace
}  // namespace tinykvm
