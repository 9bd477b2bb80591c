// Requests before a program is frozen.
#include <string>
#include <vector>

#include "src/config/config_layer.hpp"
#include "tests/unit/vtc_guest.hpp"

namespace tinykvm::host {
namespace {

ProgramConfig warm_config(const std::string& mode, const std::string& url = "/warm") {
    ProgramConfig config = guest_config("warm");
    config.main_arguments = {mode};
    config.warmup.num_requests = 3;
    config.warmup.exact = true;
    config.warmup.url = url;
    return config;
}

class WarmupTest : public VtcGuestTest {
  protected:
    std::string why_not(const ProgramConfig& config) {
        try {
            (void)boot(config);
        } catch (const Failure& failure) {
            return failure.what();
        }
        return "it boots";
    }
    std::string answer(const ProgramConfig& config, const Request& request, std::string_view body = {}) {
        const auto pool = std::make_shared<Pool>(boot(config), counters);
        std::string first = ask(*pool, request, body);
        EXPECT_EQ(ask(*pool, request, body), first) << "what requests change is undone, with warm-up requests, too";
        return first;
    }
};

TEST_F(WarmupTest, CallsTheCallbackThatFits) {
    Request get;
    get.url = "/x";
    EXPECT_EQ(answer(warm_config("get"), get), "200 seen=4 warm=0 get /x key= nothing");
    ProgramConfig post = warm_config("post");
    post.warmup.method = "POST";
    Request with_body = get;
    with_body.method = "POST";
    EXPECT_EQ(answer(post, with_body, "body"), "200 seen=4 warm=0 post /x key= nothing");
    EXPECT_EQ(answer(warm_config("request"), get), "200 seen=4 warm=3 GET /x key= prepared");
    EXPECT_EQ(answer(warm_config("paused"), get), "200 seen=4 warm=3 GET /x key= prepared");
}

TEST_F(WarmupTest, WithoutItNothingIsCalled) {
    ProgramConfig config = warm_config("request");
    config.warmup.num_requests = 0;
    EXPECT_EQ(answer(config, {}), "200 seen=1 warm=0 GET  key= nothing");
}

TEST_F(WarmupTest, TheStatusOfAResponseDoesNotMatter) {
    EXPECT_EQ(answer(warm_config("request", "/404"), {}), "200 seen=4 warm=3 GET  key= prepared");
}

TEST_F(WarmupTest, NotExactGoesOnUntilItIsNoFaster) {
    ProgramConfig config = warm_config("request");
    config.warmup.exact = false;
    config.warmup.num_requests = 5;
    const std::string text = answer(config, {});
    const int warm = std::stoi(text.substr(text.find("warm=") + 5));
    EXPECT_GE(warm, 6);  // the first is the fastest so far
    EXPECT_LE(warm, 500);
}

// Half of the memory is used already, or will be while the program warms up: what is not exact ends there.
TEST_F(WarmupTest, NotExactNeverTakesMoreThanHalfOfTheMemory) {
    ProgramConfig config = warm_config("request", "/grow");
    config.warmup.exact = false;
    config.warmup.num_requests = 100;  // of a MiB each, until 100 in a row were no faster
    config.max_memory = std::size_t{150} << 20;
    EXPECT_EQ(answer(config, {}), "200 seen=101 warm=100 GET  key= prepared");
}

TEST_F(WarmupTest, NothingOfTheRequestsIsInTheSnapshot) {
    ProgramConfig config = warm_config("request");
    config.warmup.headers = {"X-Key: value", "X-Long: " + std::string(8000, 'x')};
    std::vector<std::string> lines;
    BootControl control;
    const auto program = boot_program(
        "p", config, nullptr, [&](std::string_view line) { lines.emplace_back(line); }, control);
    EXPECT_EQ(lines, (std::vector<std::string>{"warming /warm", "warming /warm", "warming /warm"}));
    Fork fork(program->snapshot);
    const RequestArea area = fork.request_area();
    EXPECT_EQ(fork.memory().read_bytes(area.begin, area.size), std::string(area.size, '\0'));
    EXPECT_EQ(fork.memory().changed_bytes(), 0u);

    const auto pool = std::make_shared<Pool>(program, counters);
    Lease lease = pool->acquire(soon(), nullptr);
    Request request;
    lease->begin(request);
    const Outcome outcome = lease->run(nullptr);
    ASSERT_TRUE(outcome.answered);
    EXPECT_EQ(outcome.response.response_changes.size(), 1u);
    EXPECT_TRUE(outcome.log.empty());
    EXPECT_EQ(counters[Counter::requests], 1u);
}

// The program goes on as if it had not been called, with the registers it had.
TEST_F(WarmupTest, ManyRequestsNeedNoMoreStackOrMemory) {
    ProgramConfig config = warm_config("request");
    config.warmup.num_requests = 2000;
    config.max_memory = std::size_t{8} << 20;
    EXPECT_EQ(answer(config, {}), "200 seen=2001 warm=2000 GET  key= prepared");
}

TEST_F(WarmupTest, FailuresSayWhichRequestAndWhy) {
    const std::string where = "in warm-up request 1 of 3 (GET ";
    EXPECT_NE(why_not(warm_config("request", "/crash")).find("the program crashed " + where + "/crash): "),
              std::string::npos)
        << why_not(warm_config("request", "/crash"));
    EXPECT_EQ(why_not(warm_config("request", "/silent")), where + "/silent): the callback returned without an answer");
    EXPECT_EQ(why_not(warm_config("request", "/exit")),
              where + "/exit): the program exited with status 3 instead of answering");
    EXPECT_EQ(why_not(warm_config("paused", "/exit")),
              where + "/exit): the program exited with status 3 instead of answering");
    EXPECT_EQ(why_not(warm_config("paused", "/silent")),
              where + "/silent): the program called wait_for_requests_paused without an answer");
    EXPECT_EQ(why_not(warm_config("request", "/register")),
              where + "/register): register_func while the program serves requests");
    EXPECT_EQ(why_not(warm_config("request", "/wait")),
              where + "/wait): the program called wait_for_requests without an answer");
    EXPECT_EQ(why_not(warm_config("post")), where + "/warm): the program has no callback for it");
    ProgramConfig slow = warm_config("request", "/loop");
    slow.max_boot_time = std::chrono::milliseconds(1500);
    EXPECT_EQ(why_not(slow), "the program was " + where + "/loop) at the end of max_boot_time (1.5 s)");
    ProgramConfig large = warm_config("request");
    large.max_request_memory = std::size_t{1} << 20;
    large.warmup.headers.assign(64, "X-Large: " + std::string(60000, 'x'));
    EXPECT_NE(why_not(large).find("does not fit in max_request_memory"), std::string::npos) << why_not(large);
}

TEST(WarmupConfig, IsReadAndChecked) {
    ProgramConfig config;
    ConfigLayer::parse("p", R"({"warmup": {"num_requests": 7, "exact": false, "url": "/a?b", "method": "PUT",
                                           "headers": ["Host: x", "A:b"]}})")
        .apply(config);
    EXPECT_EQ(config.warmup.num_requests, 7u);
    EXPECT_FALSE(config.warmup.exact);
    EXPECT_EQ(config.warmup.url, "/a?b");
    EXPECT_EQ(config.warmup.method, "PUT");
    EXPECT_EQ(config.warmup.headers, (std::vector<std::string>{"User-Agent: tinykvm", "Host: x", "A:b"}));
    ConfigLayer::parse("p", R"({"warmup": {}})").apply(config);
    EXPECT_EQ(config.warmup.num_requests, 20u);
    EXPECT_FALSE(config.warmup.exact);
    EXPECT_EQ(config.warmup.headers, std::vector<std::string>{"User-Agent: tinykvm"});
    ConfigLayer::parse("p", R"({"warmup": {"exact": true, "headers": ["user-agent: mine"]}})").apply(config);
    EXPECT_TRUE(config.warmup.exact);
    EXPECT_EQ(config.warmup.headers, std::vector<std::string>{"user-agent: mine"});

    const std::pair<const char*, const char*> mistakes[] = {
        {R"(5)", "value 5; allowed is an object {num_requests, exact, url, method, headers}"},
        {R"({"num_requests": 65536})", "\"num_requests\" of warmup must be a whole number from 0 to 65535"},
        {R"({"num_requests": 1.5})", "\"num_requests\" of warmup must be a whole number from 0 to 65535"},
        {R"({"exact": 1})", "\"exact\" of warmup must be true or false"},
        {R"({"url": "x"})", "\"url\" of warmup must be a string of at most 4096 bytes that begins with '/'"},
        {R"({"url": "/a b"})", "\"url\" of warmup must be"},
        {R"({"url": "/a\u0000b"})", "\"url\" of warmup must be"},
        {R"({"url": ["/"]})", "\"url\" of warmup must be"},
        {R"({"method": "G T"})", "\"method\" of warmup must be the name of a method"},
        {R"({"method": 1})", "\"method\" of warmup must be the name of a method"},
        {R"({"headers": "A: b"})", "\"headers\" of warmup must be a list of at most 64 strings \"Name: value\""},
        {R"({"headers": [1]})", "\"headers\" of warmup must be a list of at most 64 strings"},
        {R"({"headers": ["nonsense"]})", "strings \"Name: value\"; one has no colon: nonsense"},
        {R"({"headers": ["A: b\r\nC: d"]})", "one has a control character in its value"},
        {R"({"times": 1})", "warmup has no \"times\", only num_requests, exact, url, method and headers"},
    };
    for (const auto& [json, sentence] : mistakes) {
        std::string said = "accepted";
        try {
            (void)ConfigLayer::parse("p", "{\"warmup\": " + std::string(json) + "}");
        } catch (const ConfigError& error) {
            said = error.what();
        }
        EXPECT_NE(said.find(sentence), std::string::npos) << json << ": " << said;
        EXPECT_EQ(said.find("configuration of \"p\": key \"warmup\": "), 0u) << said;
    }
}

}  // namespace
}  // namespace tinykvm::host
