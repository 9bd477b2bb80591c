// A caller that is the client of a server in the guest.
#include "tinykvm/client.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/booted_guest.hpp"

namespace tinykvm {
namespace {

using test::patience;

class TestClient final : public Client {
  public:
    std::optional<std::span<const std::byte>> next() const override {
        return text_.empty() ? std::nullopt : std::optional(std::as_bytes(std::span(text_)));
    }
    void take(std::size_t bytes) override { text_.remove_prefix(bytes); }
    std::uint64_t connection() const override { return connection_; }
    bool is_accepted() const override { return accepted_; }
    void accept() override { accepted_ = true; }
    std::size_t room() const override { return most - std::min(most, answer.size()); }
    void write(std::span<const std::byte> data) override {
        answer.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    void end_output() override { ended = true; }
    std::uint64_t changes() const override { return changes_; }
    bool wants_turn() const override { return answer.size() >= most || answer.ends_with(last); }
    bool may_wait() const override { return may_wait_; }
    bool may_sleep() const override { return lets_sleep; }

    void connect() { ++connection_, note_change(), accepted_ = false; }
    void disconnect() { connection_ = 0, note_change(); }
    void send(std::string_view text) { text_ = text, note_change(); }
    void insist() { may_wait_ = false; }
    void take_answer() { answer.clear(), note_change(); }

    std::string answer, last = "\n";
    std::size_t most = 1 << 20;
    bool ended = false, lets_sleep = false;

  private:
    void note_change() {
        static std::uint64_t last = 0;
        changes_ = ++last;
    }

    std::string_view text_;
    std::uint64_t connection_ = 0, changes_ = 0;
    bool accepted_ = false, may_wait_ = true;
};

class ClientTest : public ::testing::Test {
  protected:
    std::shared_ptr<const Snapshot> freeze(std::vector<std::string> arguments, std::string listen = {}) {
        Options options;
        options.arguments = std::move(arguments);
        options.client = [this] { return client; };
        options.listen = std::move(listen);
        Machine machine(Program::from_file(TINYKVM_TEST_GUESTS "/server"), std::move(options));
        EXPECT_EQ(machine.run(&calls, patience()).reason, Stop::Reason::needs_input);
        listening = machine.listening();
        return std::move(machine).freeze();
    }
    std::string ask(Fork& fork, std::string_view request, std::string_view last) {
        client->connect();
        client->last = last;
        client->send(request);
        EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::has_output);
        return std::exchange(client->answer, {});
    }

    test::Calls calls;
    TestClient one;
    TestClient* client = &one;
    std::vector<std::string> listening;
};

TEST_F(ClientTest, ServersAreFrozenWhereTheyWaitAndAnswerFromThere) {
    for (const char* how : {"accept", "thread", "threads", "poll", "select", "epoll", "edge"}) {
        const auto snapshot = freeze({how});
        EXPECT_EQ(listening, std::vector<std::string>{"0.0.0.0:8080"});
        Fork fork(snapshot);
        for (int i = 0; i < 3; ++i) {
            const std::string answer = ask(fork, "GET /count HTTP/1.1\r\n\r\n", "1");
            EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << how << ": " << answer;
            EXPECT_TRUE(answer.ends_with("\r\n\r\n1")) << how << ": " << answer;
            fork.reset();
        }
    }
}

TEST_F(ClientTest, OneForkAnswersRequestAfterRequest) {
    Fork fork(freeze({"epoll"}));
    EXPECT_TRUE(ask(fork, "GET /count HTTP/1.1\r\nConnection: close\r\n\r\n", "\r\n1").ends_with("\r\n1"));
    EXPECT_FALSE(one.ended);
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::needs_input);
    EXPECT_TRUE(one.ended) << "the server closed the connection";
    EXPECT_TRUE(ask(fork, "GET /count HTTP/1.1\r\n\r\n", "\r\n2").ends_with("\r\n2"));
    // The client goes away, which the server sees as the end of its input.
    one.disconnect();
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::needs_input);
    EXPECT_TRUE(ask(fork, "GET /count HTTP/1.1\r\n\r\n", "\r\n3").ends_with("\r\n3"));
}

TEST_F(ClientTest, NothingOfOneForkIsInAnother) {
    const auto snapshot = freeze({"accept"});
    Fork first(snapshot), second(snapshot);
    one.connect();
    one.send("GET /secr");
    EXPECT_EQ(first.go_on(calls, patience()).reason, Stop::Reason::needs_input);
    TestClient other;
    client = &other;
    EXPECT_TRUE(ask(second, "GET /count HTTP/1.1\r\n\r\n", "\r\n1").ends_with("\r\n1"));
    client = &one;
    one.send("et HTTP/1.1\r\n\r\n");
    one.last = "bytes";
    EXPECT_EQ(first.go_on(calls, patience()).reason, Stop::Reason::has_output);
    EXPECT_TRUE(one.answer.ends_with("GET /secret with 0 bytes"));
}

TEST_F(ClientTest, ServerWaitsForRoom) {
    Fork fork(freeze({"edge"}));
    one.most = 1000;
    one.connect();
    one.last = "no such end";
    one.send("GET /size/10000 HTTP/1.1\r\n\r\n");
    constexpr std::size_t whole = 10000 + std::string_view("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n").size();
    std::size_t total = 0;
    for (int i = 0; i < 100 && total < whole; ++i) {
        const Stop stop = fork.go_on(calls, patience());
        EXPECT_TRUE(stop.reason == Stop::Reason::has_output || stop.reason == Stop::Reason::needs_input);
        EXPECT_LE(one.answer.size(), 1000u);
        total += one.answer.size();
        one.take_answer();
    }
    EXPECT_EQ(total, whole);
}

TEST_F(ClientTest, WaitsEndByTimersWhenTheClientHasNothingMore) {
    Fork fork(freeze({"accept"}));
    one.connect();
    one.last = "0\r\n\r\n";
    one.send("GET /slow HTTP/1.1\r\n\r\n");
    one.insist();
    EXPECT_EQ(fork.go_on(calls, patience()).reason, Stop::Reason::has_output);
    EXPECT_NE(one.answer.find("4,"), std::string::npos);
}

TEST_F(ClientTest, ClientConnectsToTheSocketThatIsMeant) {
    const auto snapshot = freeze({"accept", "/tmp/one", "9000"}, "/tmp/one");
    EXPECT_EQ(listening.size(), 2u);
    Fork fork(snapshot);
    EXPECT_TRUE(ask(fork, "GET /peer HTTP/1.1\r\n\r\n", "\r\n1 ").ends_with("\r\n1 "));
}

// A run that stops while the server waits says until when; for a client that lets it sleep also when it waits for
// nothing but that moment.
TEST_F(ClientTest, ServerThatWaitsSaysWhenItGoesOn) {
    Fork fork(freeze({"accept"}));
    one.connect();
    one.last = "no such end";
    one.send("GET /slow HTTP/1.1\r\n\r\n");
    one.lets_sleep = true;
    Stop stop;
    const auto goes_on_until = [&](auto is_there) {
        for (int i = 0; i < 1'000'000 && !is_there(); ++i) {
            stop = fork.go_on(calls, patience());
        }
    };
    const auto before = Clock::now();
    goes_on_until([&] { return stop.wakes_at.has_value(); });
    ASSERT_EQ(stop.reason, Stop::Reason::needs_input);
    const auto moment = *stop.wakes_at;
    EXPECT_GT(moment, before);
    goes_on_until([&] { return stop.wakes_at != moment; });
    EXPECT_GE(Clock::now(), moment);
    goes_on_until([&] { return stop.reason == Stop::Reason::needs_input && !stop.wakes_at; });
    EXPECT_TRUE(one.answer.starts_with("HTTP/1.1 200 ")) << one.answer;
    stop = fork.go_on(calls, patience());
    EXPECT_EQ(stop.reason, Stop::Reason::needs_input);
    EXPECT_EQ(stop.wakes_at, std::nullopt) << "it waits for its client, however long that takes";
}

}  // namespace
}  // namespace tinykvm
