// Answers and calls of hostile guests, against the memory of a real one.
#include "src/calls/response.hpp"

#include <cerrno>
#include <limits>

#include "src/base/http_field.hpp"
#include "src/calls/guest_abi.hpp"
#include "tests/unit/vtc_guest.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::host {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t max64 = std::numeric_limits<std::uint64_t>::max();

// Addresses no guest can pass off as its own; the lengths include all that wrap.
constexpr std::uint64_t bad_pointers[] = {
    8,
    max64,
    max64 - 4095,
    std::uint64_t{1} << 47,
    std::uint64_t{1} << 63,
    x86::shim,
    x86::user_end,
    x86::user_end - 1,
    x86::shim,
    0x0000800000000000,
    0xFFFF800000000000,
};
constexpr std::uint64_t lengths[] = {
    1, 7, 4095, 4096, std::uint64_t{1} << 31, std::uint64_t{1} << 46, std::uint64_t{1} << 63, max64, max64 - 4095};

class ResponseTest : public VtcGuestTest {
  protected:
    void SetUp() override {
        VtcGuestTest::SetUp();
        if (IsSkipped()) {
            return;
        }
        fork = std::make_unique<Fork>(boot(guest_config("hello"))->snapshot);
        area = fork->request_area();
        ASSERT_TRUE(memory().write(area.begin, "text/plain", 10));
        ASSERT_TRUE(memory().write(area.begin + 100, "the body", 8));
    }

    GuestMemory& memory() { return fork->memory(); }
    GuestAddr type() const { return area.begin; }
    GuestAddr body() const { return area.begin + 100; }

    std::string answer(const std::array<std::uint64_t, 6>& args) {
        ignored.clear();
        try {
            response = read_response(memory(), args, ignored);
            return "fine";
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind(), FailureKind::invalid_answer);
            EXPECT_EQ(std::string(failure.what()).find("sys_backend_response: "), 0U);
            EXPECT_EQ(std::string(failure.what()).find('\n'), std::string::npos);
            return failure.what();
        }
    }

    // One header, and what is said of it.
    std::string with_header(std::string_view line, std::uint64_t length_said = 0) {
        const GuestAddr at = area.begin + 300, text = area.begin + 8192;
        EXPECT_TRUE(memory().write(text, line.data(), line.size()));
        abi::ResponseExtra extra;
        extra.headers = at + sizeof extra;
        extra.num_headers = 1;
        const abi::ResponseHeader header{text, length_said != 0 ? length_said : line.size()};
        EXPECT_TRUE(memory().write(at, extra));
        EXPECT_TRUE(memory().write(extra.headers, header));
        return answer({200, type(), 10, body(), 8, at});
    }

    std::unique_ptr<Fork> fork;
    RequestArea area;
    Response response;
    std::vector<std::string> ignored;
};

TEST_F(ResponseTest, WellFormedAnswerIsRead) {
    EXPECT_EQ(answer({200, type(), 10, body(), 8, 0}), "fine");
    EXPECT_EQ(response.content_type, "text/plain");
    EXPECT_EQ(response.body_size, 8U);
    EXPECT_EQ(with_header("X-A: b"), "fine");
    ASSERT_EQ(response.response_changes.size(), 1U);
    EXPECT_EQ(response.response_changes[0].line, "X-A: b");
    EXPECT_FALSE(response.cacheability);
}

TEST_F(ResponseTest, NothingIsFineToo) {
    EXPECT_EQ(answer({204, 0, 0, 0, 0, 0}), "fine");
    EXPECT_EQ(answer({204, max64, 0, max64, 0, 0}), "fine");
    EXPECT_EQ(response.body_size, 0U);
}

TEST_F(ResponseTest, ContentTypeEndsAtItsFirstZero) {
    for (const std::string_view said : {"text/plain\0"sv, "text/plain\0\0\0"sv, "text/plain\0a\r\nb: c"sv}) {
        ASSERT_TRUE(memory().write(type(), said.data(), said.size()));
        EXPECT_EQ(answer({200, type(), said.size(), 0, 0, 0}), "fine");
        EXPECT_EQ(response.content_type, "text/plain");
    }
    ASSERT_TRUE(memory().write(type(), "\0x", 2));
    EXPECT_EQ(answer({200, type(), 2, 0, 0, 0}), "fine");
    EXPECT_EQ(response.content_type, "");
}

TEST_F(ResponseTest, ContentTypeHasAtMost4095Bytes) {
    const std::string longest(4095, 'x');
    ASSERT_TRUE(memory().write(type(), longest.c_str(), 4096));
    EXPECT_EQ(answer({200, type(), 4095, 0, 0, 0}), "fine");
    EXPECT_EQ(response.content_type, longest);
    EXPECT_EQ(answer({200, type(), 4096, 0, 0, 0}), "fine");  // with the zero that ends it
    EXPECT_EQ(response.content_type, longest);
    ASSERT_TRUE(memory().write(type() + 4095, "y", 2));
    EXPECT_EQ(answer({200, type(), 4096, 0, 0, 0}),
              "sys_backend_response: content type length 4096 is not in 0...4095");
    EXPECT_NE(answer({200, type(), 4097, 0, 0, 0}), "fine");
}

TEST_F(ResponseTest, StatusHasThreeSensibleDigits) {
    for (int status = -70000; status <= 70000; status++) {
        const auto seen = static_cast<std::int16_t>(status);
        const bool good = seen >= 200 && seen <= 599;
        const std::string said = answer({static_cast<std::uint64_t>(status), type(), 10, 0, 0, 0});
        ASSERT_EQ(said == "fine", good) << status << said;
    }
}

TEST_F(ResponseTest, NoPointerAndLengthGetsOut) {
    for (const std::uint64_t pointer : bad_pointers) {
        for (const std::uint64_t length : lengths) {
            EXPECT_NE(answer({200, pointer, length, body(), 8, 0}), "fine") << pointer << " " << length;
            EXPECT_NE(answer({200, type(), 10, pointer, length, 0}), "fine") << pointer << " " << length;
        }
        EXPECT_NE(answer({200, type(), 10, body(), 8, pointer}), "fine") << pointer;
    }
    for (const std::uint64_t length : {std::uint64_t{1} << 47, std::uint64_t{1} << 63, max64, max64 - 4095}) {
        EXPECT_NE(answer({200, type(), length, body(), 8, 0}), "fine") << length;
        EXPECT_NE(answer({200, type(), 10, body(), length, 0}), "fine") << length;
    }
}

TEST_F(ResponseTest, EndOfTheAreaIsTheEnd) {
    const GuestAddr end = area.begin + area.size;
    EXPECT_EQ(answer({200, type(), 10, area.begin, area.size, 0}), "fine");
    EXPECT_EQ(answer({200, type(), 10, end - 1, 1, 0}), "fine");
    EXPECT_NE(answer({200, type(), 10, area.begin, std::uint64_t{1} << 40, 0}), "fine");
}

TEST_F(ResponseTest, HeadersCannotBreakTheMessage) {
    for (int c = 0; c < 32; c++) {
        if (c != '\t') {
            EXPECT_NE(with_header(std::string("X-A: b") + static_cast<char>(c) + "X-Evil: c"), "fine") << c;
        }
    }
    EXPECT_NE(with_header("X-A: b\r\nX-Evil: c"), "fine");
    EXPECT_NE(with_header("no colon"), "fine");
    EXPECT_NE(with_header(": empty"), "fine");
    EXPECT_NE(with_header("X-A: b", max64), "fine");
    EXPECT_NE(with_header("X-A: b", std::uint64_t{1} << 63), "fine");
    EXPECT_EQ(with_header("X: " + std::string(max_field_bytes - 3, 'x')), "fine");
    EXPECT_NE(with_header("X: " + std::string(max_field_bytes - 2, 'x')), "fine");
    EXPECT_EQ(with_header("content-length: 5"), "fine");
    EXPECT_TRUE(response.response_changes.empty());
    EXPECT_EQ(ignored, std::vector<std::string>{"content-length"});
}

TEST_F(ResponseTest, ArrayOfHeadersIsBoundedAndInMemory) {
    const GuestAddr at = area.begin + 300;
    for (const std::uint64_t pointer : bad_pointers) {
        abi::ResponseExtra extra;
        extra.headers = pointer;
        extra.num_headers = 2;
        ASSERT_TRUE(memory().write(at, extra));
        EXPECT_NE(answer({200, type(), 10, body(), 8, at}), "fine") << pointer;
    }
    abi::ResponseExtra extra;
    extra.headers = at;
    extra.num_headers = 65535;
    ASSERT_TRUE(memory().write(at, extra));
    EXPECT_NE(answer({200, type(), 10, body(), 8, at}), "fine");
}

TEST_F(ResponseTest, TimesAreNumbers) {
    abi::ResponseExtra extra;
    extra.cached = 200;  // a bool of the guest may be anything
    extra.ttl = std::numeric_limits<float>::quiet_NaN();
    extra.grace = -std::numeric_limits<float>::infinity();
    extra.keep = std::numeric_limits<float>::max();
    ASSERT_TRUE(memory().write(area.begin + 300, extra));
    EXPECT_EQ(answer({200, type(), 10, body(), 8, area.begin + 300}), "fine");
    ASSERT_TRUE(response.cacheability);
    EXPECT_EQ(response.cacheability->ttl, 0);
    EXPECT_EQ(response.cacheability->grace, 0);
    EXPECT_LT(response.cacheability->keep, 1e9);
}

// Every call, with every kind of pointer and length: an error or an answer, never an accident.
TEST_F(ResponseTest, CallsSurviveEveryArgument) {
    GuestCalls calls({1 << 20, 1 << 20, true});
    const std::string_view headers[] = {"X-A: b"};
    Request request;
    request.headers = headers;
    calls.begin_request(request);
    ASSERT_TRUE(memory().write(area.begin, "[a-z]+", 6));
    ASSERT_EQ(calls.handle({0x10030, {area.begin, 6, 0, 0, 0, 0}}, memory()).value, 0);
    ASSERT_EQ(calls.handle({0x10030, {area.begin, 5, 0, 0, 0, 0}}, memory()).value, 1);
    for (const std::uint32_t number :
         {0x10005U, 0x10020U, 0x10021U, 0x10022U, 0x10023U, 0x10030U, 0x10032U, 0x10033U, 0x10035U, 0x10703U, 0x10706U,
          0x10A00U, 0x7F000U, 0x7FDEBU, 0x20000U, 0x12345U, 0x10031U}) {
        for (const std::uint64_t pointer : bad_pointers) {
            for (const std::uint64_t length : lengths) {
                for (const std::uint64_t where : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, pointer}) {
                    calls.begin_request(request);
                    for (const auto& args : {std::array<std::uint64_t, 6>{where, pointer, length, pointer, length, 0},
                                             std::array<std::uint64_t, 6>{pointer, length, 0, pointer, length, 0}}) {
                        const HostCallResult result = calls.handle({number, args}, memory());
                        EXPECT_EQ(result.next, HostCallResult::Next::resume);
                        EXPECT_LE(result.value, 1024);
                        EXPECT_GE(result.value, -4095);
                    }
                }
            }
        }
    }
}

TEST_F(ResponseTest, CallsThatWriteStayInsideTheBuffer) {
    GuestCalls calls({1 << 20, 1 << 20, true});
    const std::string_view headers[] = {"X-A: value"};
    Request request;
    request.method = "METHOD";
    request.headers = headers;
    calls.begin_request(request);
    const GuestAddr out = area.begin + 4096;
    const std::string canary(32, '#');
    for (std::uint64_t room = 0; room < 20; room++) {
        ASSERT_TRUE(memory().write(out, canary.data(), canary.size()));
        ASSERT_TRUE(memory().write(area.begin + 200, "x-a", 3));
        const auto found = calls.handle({0x10022, {0, area.begin + 200, 3, out, room, 0}}, memory()).value;
        EXPECT_EQ(found, room < 10 ? 0 : 10);
        EXPECT_EQ(memory().read_bytes(out, 32), (room < 10 ? "" : "X-A: value") + canary.substr(room < 10 ? 0 : 10));
        ASSERT_TRUE(memory().write(out, canary.data(), canary.size()));
        const auto method = calls.handle({0x10023, {out, room, 0, 0, 0, 0}}, memory()).value;
        EXPECT_EQ(method, room < 6 ? 0 : 6);
        EXPECT_EQ(memory().read_bytes(out, 32), (room < 6 ? "" : "METHOD") + canary.substr(room < 6 ? 0 : 6));
    }
    EXPECT_EQ(calls.handle({0x10022, {0, area.begin + 200, 3, 0, 0, 0}}, memory()).value, 10);
    // A substitution: with its zero or not at all.
    ASSERT_TRUE(memory().write(area.begin + 200, "b\0abc\0<\\0>", 11));
    ASSERT_EQ(calls.handle({0x10030, {area.begin + 200, 1, 0, 0, 0, 0}}, memory()).value, 0);
    for (std::uint64_t room = 0; room < 10; room++) {
        ASSERT_TRUE(memory().write(out, canary.data(), canary.size()));
        const std::array<std::uint64_t, 6> args = {0, area.begin + 202, area.begin + 206, out, room, 0};
        EXPECT_EQ(calls.handle({0x10033, args}, memory()).value, room < 6 ? -ENOSPC : 6);
        EXPECT_EQ(memory().read_bytes(out, 32), room < 6 ? canary : std::string("a<b>c\0", 6) + canary.substr(6));
    }
}

TEST_F(ResponseTest, LogIsBounded) {
    GuestCalls calls({1 << 20, 1 << 20, false});
    const Request request;
    calls.begin_request(request);
    for (int i = 0; i < 1000; i++) {
        EXPECT_EQ(calls.handle({0x7F000, {area.begin, 1 << 20, 0, 0, 0, 0}}, memory()).value, 2048);
        EXPECT_EQ(calls.handle({0x7F000, {area.begin, 5, 0, 0, 0, 0}}, memory()).value, 5);
    }
    const auto lines = calls.take_log();
    EXPECT_LE(lines.size(), 65U);
    EXPECT_EQ(lines.back(), "(1936 more lines were not logged)");
}

TEST(Cacheability, SecondsAreSane) {
    EXPECT_EQ(sane_seconds(-1), 0);
    EXPECT_EQ(sane_seconds(std::numeric_limits<double>::quiet_NaN()), 0);
    EXPECT_EQ(sane_seconds(std::numeric_limits<double>::infinity()), 10 * 365.25 * 86400);
    EXPECT_EQ(sane_seconds(1.5), 1.5);
}

}  // namespace
}  // namespace tinykvm::host
