// Programs that are frozen where they need input, or at their entry point, and go on from there.
#include <poll.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/booted_guest.hpp"
#include "tinykvm/input_source.hpp"

namespace tinykvm {
namespace {

using test::patience;

// What the test has for the guest, and what that wrote.
class Streams final : public InputSource {
  public:
    std::optional<std::span<const std::byte>> next() const override {
        if (text_.empty() && !ended_) return std::nullopt;
        return std::as_bytes(std::span(text_));
    }
    void take(std::size_t bytes) override { text_.remove_prefix(bytes); }

    void give(std::string_view text) { text_ = text; }
    void end() { ended_ = true; }
    Options options(std::vector<std::string> arguments) {
        Options options;
        options.arguments = std::move(arguments);
        options.output = [this](int, std::string_view text) { output += text; };
        options.input = [this] { return this; };
        return options;
    }
    // As before, with nothing written.
    void begin() { *this = Streams(); }

    std::string output;

  private:
    std::string_view text_;
    bool ended_ = false;
};

class InputTest : public ::testing::Test {
  protected:
    // Frozen where the program stops first.
    std::shared_ptr<const Snapshot> freeze(Options options, Stop::Reason reason = Stop::Reason::needs_input) {
        const auto program = Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/filter");
        Machine machine(program, std::move(options));
        EXPECT_EQ(machine.run(&calls, patience()).reason, reason);
        if (reason == Stop::Reason::at_entry) addresses = machine.argument_addresses();
        return std::move(machine).freeze();
    }

    test::Calls calls;
    Streams streams;
    std::vector<GuestAddr> addresses;
};

TEST_F(InputTest, InputComesPieceByPiece) {
    const auto snapshot = freeze(streams.options({}));
    Fork fork(snapshot);
    for (int request = 0; request < 3; ++request) {
        streams.begin();
        EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::needs_input) << "there is still nothing";
        streams.give("one");
        EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::needs_input);
        streams.give("two");
        streams.end();
        const Stop stop = fork.go_on(calls, patience());
        EXPECT_EQ(stop.reason, Stop::Reason::exited);
        EXPECT_EQ(stop.exit_status, 7);
        EXPECT_EQ(streams.output, "[one][two]");
        fork.reset();
    }
}

TEST_F(InputTest, SnapshotHasNothingOfARequest) {
    const auto snapshot = freeze(streams.options({}));
    Fork first(snapshot), second(snapshot);
    streams.give("secret");
    EXPECT_EQ(first.go_on(calls, patience()).reason, Stop::Reason::needs_input);
    streams.begin();
    streams.end();
    EXPECT_EQ(second.go_on(calls, patience()).reason, Stop::Reason::exited);
    EXPECT_EQ(streams.output, "");
}

TEST_F(InputTest, ProgramSeesAPipe) {
    Fork fork(freeze(streams.options({"look"})));
    streams.give("abc");
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::needs_input);
    streams.end();
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::exited);
    const std::string hang_up = "10";
    EXPECT_EQ(streams.output, "0 0,1 3,abc," + hang_up);
    static_assert(POLLIN == 1 && POLLHUP == 0x10);
}

TEST_F(InputTest, ThreadsThatSleepAreFrozenWithIt) {
    Fork fork(freeze(streams.options({"threads"})));
    streams.give("x");
    streams.end();
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::exited);
    EXPECT_EQ(streams.output.substr(1), ":x");
}

TEST_F(InputTest, ItIsInTimeOrEnds) {
    Fork fork(freeze(streams.options({})));
    streams.end();
    EXPECT_NE(test::error_of<Timeout>([&] { fork.go_on(calls, Clock::now()); }), "");
    fork.reset();
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::exited);
}

TEST_F(InputTest, ArgumentsCanBeReplacedAtTheEntryPoint) {
    Options options = streams.options({"first", "second"});
    options.stop_at_entry = true;
    options.argument_room = 4096;
    const auto snapshot = freeze(std::move(options), Stop::Reason::at_entry);
    EXPECT_EQ(streams.output, "");
    ASSERT_EQ(addresses.size(), 3u);
    Fork fork(snapshot);
    const std::string longest(4095, 'x');
    for (const std::string& text : {std::string("other"), std::string(), longest, std::string("last")}) {
        ASSERT_TRUE(fork.memory().write(addresses[2], text.c_str(), text.size() + 1));
        streams.begin();
        streams.give("input");
        streams.end();
        EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::exited);
        EXPECT_EQ(streams.output, "<first><" + text + ">[input]");
        fork.reset();
    }
    streams.begin();
    streams.end();
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::exited);
    EXPECT_EQ(streams.output, "<first><second>") << "nothing of a request stays";
}

TEST_F(InputTest, ArgumentsLongerThanTheirPlaceAreRefused) {
    Options options = streams.options({"0123456789abcdef"});
    options.argument_room = 16;
    const auto program = Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/filter");
    EXPECT_NE(test::error_of<LoadError>([&] { Machine machine(program, options); }), "");
}

}  // namespace
}  // namespace tinykvm
