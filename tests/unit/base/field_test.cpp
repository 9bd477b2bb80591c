// Header fields from guests (P22), log text, and the life of a VM as a table.
#include "src/base/field.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "src/base/guest_text.hpp"
#include "src/calls/call_table.hpp"
#include "src/calls/header_edit.hpp"
#include "src/calls/response.hpp"
#include "src/vms/vm_life.hpp"

namespace tinykvm::host {
namespace {

bool accepted(std::string_view line) {
    std::string why;
    return parse_field(line, why).has_value();
}

TEST(ApiField, EveryControlCharacterIsRefused) {
    for (int c = 0; c < 256; c++) {
        const bool harmless = c == '\t' || (c >= 0x20 && c != 0x7F);
        const std::string in_value = std::string("X-A: b") + static_cast<char>(c) + "c";
        EXPECT_EQ(accepted(in_value), harmless) << c;
        const bool token =
            std::isalnum(c) != 0 ||
            (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos);
        const std::string in_name = std::string("X") + static_cast<char>(c) + "A: b";
        EXPECT_EQ(accepted(in_name), (token && c < 128) || c == ':') << c;
    }
}

TEST(ApiField, PartsAreTakenApart) {
    std::string why;
    const auto parts = parse_field("X-A:  \t a: b \t", why);
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->name, "X-A");
    EXPECT_EQ(parts->value, "a: b");
    EXPECT_EQ(parse_field("X-A:", why)->value, "");
    EXPECT_EQ(parse_field("X-A: \t ", why)->value, "");
    EXPECT_FALSE(accepted(""));
    EXPECT_FALSE(accepted(":"));
    EXPECT_FALSE(accepted(": x"));
    EXPECT_FALSE(accepted("no colon"));
    EXPECT_FALSE(accepted("X-A : b"));
    EXPECT_FALSE(accepted(" X-A: b"));
    EXPECT_FALSE(accepted("X-A: b\r\n folded"));
    EXPECT_FALSE(accepted(std::string(127, 'x') + ": b"));
    EXPECT_TRUE(accepted(std::string(126, 'x') + ": b"));
    EXPECT_FALSE(accepted("X: " + std::string(max_field_bytes, 'x')));
}

TEST(ApiField, FramingIsTheHosts) {
    for (const char* name : {"Content-Length", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive",
                             "Upgrade", "TE", "Trailer"}) {
        EXPECT_TRUE(is_framing_field(name)) << name;
    }
    EXPECT_FALSE(is_framing_field("Content-Lengt"));
    EXPECT_FALSE(is_framing_field("Content-Type"));
}

TEST(ApiField, RangesOfBytesMakeSense) {
    for (const char* good : {"bytes 0-0/1", "bytes 0-4/10", "Bytes 5-9/10", "bytes 0-4/*", "bytes */10",
                             "bytes 0-999999999999999998/999999999999999999"}) {
        EXPECT_TRUE(accepted(std::string("Content-Range: ") + good)) << good;
    }
    for (const char* bad : {"",
                            "bytes",
                            "bytes ",
                            "bytes */*",
                            "bytes */0",
                            "bytes */",
                            "bytes *",
                            "bytes 0-4",
                            "bytes 0-4/",
                            "bytes 0-4/4",
                            "bytes 4-0/10",
                            "bytes -4/10",
                            "bytes 0-/10",
                            "bytes 0-4/+9",
                            "bytes 0--4/10",
                            "bytes */-1",
                            "bytes  0-4/10",
                            "bytes=0-4/10",
                            "items 0-4/10",
                            "bytes 0-4/1000000000000000000",
                            "bytes 18446744073709551616-0/1"}) {
        EXPECT_FALSE(accepted(std::string("content-range:") + bad)) << bad;
    }
}

TEST(ApiField, NamesInVaryAreNames) {
    const std::string longest(126, 'x');
    EXPECT_TRUE(accepted("Vary: " + longest + ", " + longest + "," + longest + "\t" + longest));
    EXPECT_TRUE(accepted("Vary:*"));
    EXPECT_FALSE(accepted("Vary: " + longest + "x"));
    EXPECT_FALSE(accepted("vary: a, " + longest + "x, b"));
}

TEST(ApiHeaderEdit, SeesChangesAndReportsThem) {
    const std::string_view lines[] = {"Host: a", "X-One:1", "x-one: 2", "Odd"};
    HeaderEdit edit;
    edit.begin(lines);
    EXPECT_EQ(edit.find("x-ONE"), "X-One:1");
    EXPECT_EQ(edit.find("Host"), "Host: a");
    EXPECT_EQ(edit.find("Hos"), std::nullopt);
    EXPECT_EQ(edit.set("X-One: 3"), 3);
    EXPECT_EQ(edit.find("X-One"), "X-One: 3");
    EXPECT_EQ(edit.append("X-Two: 4"), 4);
    EXPECT_EQ(edit.append("x-two: 5"), 5);
    EXPECT_EQ(edit.find("X-Two"), "X-Two: 4");
    EXPECT_EQ(edit.set("host"), 1);
    EXPECT_EQ(edit.set("host"), 0);
    EXPECT_EQ(edit.find("Host"), std::nullopt);
    EXPECT_EQ(edit.set("Content-Length"), -EINVAL);
    EXPECT_EQ(edit.append("Transfer-Encoding: chunked"), -EINVAL);
    EXPECT_EQ(edit.append("no colon"), -EINVAL);
    EXPECT_EQ(edit.set("X A"), -EINVAL);
    const auto changes = edit.take_changes();
    ASSERT_EQ(changes.size(), 5U);
    EXPECT_EQ(changes[0].kind, HeaderChange::Kind::set);
    EXPECT_EQ(changes[3].kind, HeaderChange::Kind::unset);
    EXPECT_EQ(changes[3].line, "host");
}

TEST(ApiHeaderEdit, IsBounded) {
    HeaderEdit edit;
    edit.begin({});
    long result = 0;
    std::size_t count = 0;
    while ((result = edit.append("X: y")) > 0 && count < 10000) {
        count++;
    }
    EXPECT_EQ(result, -ENOSPC);
    EXPECT_EQ(count, max_fields);
    edit.begin({});
    count = 0;
    while ((result = edit.append("X: " + std::string(8000, 'y'))) > 0) {
        count++;
    }
    EXPECT_EQ(result, -ENOSPC);
    EXPECT_LE(count * 8000, max_fields_bytes);
}

TEST(ApiText, NumbersInHexadecimal) {
    EXPECT_EQ(hex(0), "0x0");
    EXPECT_EQ(hex(0xFFFFFFFFFFFFFFFF), "0xFFFFFFFFFFFFFFFF");
}

TEST(ApiSeconds, AreSane) {
    EXPECT_EQ(sane_seconds(-1), 0);
    EXPECT_EQ(sane_seconds(std::numeric_limits<double>::quiet_NaN()), 0);
    EXPECT_EQ(sane_seconds(std::numeric_limits<double>::infinity()), 10 * 365.25 * 86400);
    EXPECT_EQ(sane_seconds(1.5), 1.5);
}

TEST(ApiCallTable, NumbersAreThoseOfTheInterface) {
    const std::pair<std::uint32_t, const char*> calls[] = {
        {0x10000, "register_func"},
        {0x10001, "wait_for_requests"},
        {0x10002, "wait_for_requests_paused"},
        {0x10005, "sys_set_cacheable"},
        {0x10010, "sys_backend_response"},
        {0x10020, "sys_http_append"},
        {0x10021, "sys_http_set"},
        {0x10022, "sys_http_find"},
        {0x10023, "sys_http_method"},
        {0x10030, "sys_regex_compile"},
        {0x10031, "sys_regex_free"},
        {0x10032, "sys_regex_match"},
        {0x10033, "sys_regex_subst"},
        {0x10035, "sys_regex_copyto"},
        {0x10706, "sys_is_storage"},
        {0x10A00, "get_meminfo"},
        {0x7F000, "sys_log"},
        {0x7FDEB, "sys_is_debug"},
        {0x20000, "sys_fetch"},
        {0x20001, "sys_request"},
        {0x10012, "begin_streaming_response"},
    };
    for (const auto& [number, name] : calls) {
        const CallTable::Entry* entry = CallTable::find(number);
        ASSERT_NE(entry, nullptr) << name;
        EXPECT_STREQ(entry->name, name);
        EXPECT_NE(entry->handler, nullptr) << name;
    }
    for (const std::uint32_t number : {0x10011U, 0x10708U, 0x7F7F7U}) {
        ASSERT_NE(CallTable::find(number), nullptr);
        EXPECT_EQ(CallTable::find(number)->handler, nullptr);
    }
    for (const std::uint32_t number : {0U, 0xFFFFU, 0x10003U, 0x7FDECU, 0xFFFFFFFFU}) {
        EXPECT_EQ(CallTable::find(number), nullptr) << number;
    }
}

TEST(ApiVmLife, OnlyTheTransitionsOfThePicture) {
    using enum VmState;
    const VmState all[] = {building, idle, reserved, running, answered, resetting, withdrawn};
    const std::pair<VmState, VmState> allowed[] = {
        {building, idle},    {building, withdrawn},  {idle, reserved},    {idle, withdrawn},
        {reserved, running}, {reserved, resetting},  {running, answered}, {answered, resetting},
        {resetting, idle},   {resetting, withdrawn}, {running, reserved}, {answered, running},
    };
    for (const VmState from : all) {
        for (const VmState to : all) {
            const bool expected =
                std::find(std::begin(allowed), std::end(allowed), std::pair(from, to)) != std::end(allowed);
            EXPECT_EQ(may_follow(from, to), expected) << to_string(from) << " to " << to_string(to);
        }
    }
    VmLife life;
    EXPECT_DEATH(life.move_to(running), "cannot go from building to running");
}

}  // namespace
}  // namespace tinykvm::host
